"""What axes call quantities. LJ units: sigma_AA, epsilon_AA and the time tau_LJ = sigma_AA (m / epsilon_AA)^(1/2)."""

TIME_UNIT = r"$\tau_{\mathrm{LJ}}$"
TIME_LABEL = rf"time  $t$  [{TIME_UNIT}]"
MSD_LABEL = r"$\langle |r(t) - r(0)|^2 \rangle$  [$\sigma_{AA}^2$]"
DISTANCE_LABEL = r"distance  $r$  [$\sigma_{AA}$]"
WAVE_NUMBER_LABEL = r"wave number  $k$  [$\sigma_{AA}^{-1}$]"
TEMPERATURE_LABEL = r"temperature  $T$  [$\epsilon_{AA} / k_B$]"
VOLUME_LABEL = r"volume per particle  [$\sigma_{AA}^3$]"

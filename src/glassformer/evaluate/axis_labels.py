"""What axes call quantities. LJ units: sigma_AA, epsilon_AA and the time tau_LJ = sigma_AA (m / epsilon_AA)^(1/2)."""

from collections.abc import Sequence

TIME_UNIT = r"$\tau_{\mathrm{LJ}}$"
TIME_LABEL = rf"time  $t$  [{TIME_UNIT}]"
MSD_LABEL = r"$\langle |r(t) - r(0)|^2 \rangle$  [$\sigma_{AA}^2$]"
DISTANCE_LABEL = r"distance  $r$  [$\sigma_{AA}$]"
WAVE_NUMBER_LABEL = r"wave number  $k$  [$\sigma_{AA}^{-1}$]"
TEMPERATURE_LABEL = r"temperature  $T$  [$\epsilon_{AA} / k_B$]"
AREA_LABEL = r"area per particle  [$\sigma_{AA}^2$]"
VOLUME_LABEL = r"volume per particle  [$\sigma_{AA}^3$]"


def scattering_axis(symbol: str, parts: Sequence[str]) -> str:
    """Return 'F_s(k, t), k sigma_AA = 7.25 (A), 5.5 (B)', `parts` being what follows '='."""
    return rf"${symbol}(k, t)$,  $k\,\sigma_{{AA}}$ = {', '.join(parts)}"

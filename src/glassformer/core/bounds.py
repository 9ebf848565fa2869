"""Numbers in campaign and run files, each with bounds within which it can mean something.

Beyond them a typing error is more likely than an intention, and arithmetic would overflow where nobody looks.
"""

from typing import Annotated

from pydantic import Field

# LJ units.
Temperature = Annotated[float, Field(gt=0, le=1e9)]
Pressure = Annotated[float, Field(ge=-1000, le=1000)]
Density = Annotated[float, Field(gt=0, le=5)]
Length = Annotated[float, Field(gt=0, le=100)]
Time = Annotated[float, Field(gt=0, le=1e9)]
TimeStep = Annotated[float, Field(ge=1e-5, le=0.02)]
TemperatureStep = Annotated[float, Field(ge=1e-4, le=100)]
# Observation steps, and numbers of things.
Step = Annotated[int, Field(gt=0, le=10**12)]
Particles = Annotated[int, Field(ge=100, le=10_000_000)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]
NonNegativeCount = Annotated[int, Field(ge=0, le=1_000_000)]
# Multiples of something, such as of relaxation times.
Multiple = Annotated[float, Field(ge=0, le=1e6)]
# Of networks and their training.
Width = Annotated[int, Field(gt=0, le=16_384)]
Depth = Annotated[int, Field(gt=0, le=1000)]
Neighbors = Annotated[int, Field(gt=0, le=1000)]
LearningRate = Annotated[float, Field(gt=0, le=1e30)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
# Of mixtures.
Energy = Annotated[float, Field(gt=0, le=1e6)]
Mass = Annotated[float, Field(ge=1e-6, le=1e6)]
WaveNumber = Annotated[float, Field(gt=0, le=1000)]

"""Named families of palettes and textures; training and held-out ones are disjoint (names in `mutdet.settings.scenes`)."""

from dataclasses import dataclass

from mutdet.data.scenes.noise import NoiseKind

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Family:
    """Look of a region: colours (RGB, 0 to 255) of its materials and the character of its textures.

    Attributes:
        noise: kinds of the coarse, middle and fine noise fields.
        cells: feature sizes of those fields, pixels.
        contrast: factor on the amplitude of every texture.
    """

    water: tuple[Colour, ...]
    grass: tuple[Colour, ...]
    trees: tuple[Colour, ...]
    soils: tuple[Colour, ...]
    asphalt: tuple[Colour, ...]
    concrete: tuple[Colour, ...]
    gravel: tuple[Colour, ...]
    roofs: tuple[Colour, ...]
    noise: tuple[NoiseKind, NoiseKind, NoiseKind]
    cells: tuple[float, float, float]
    contrast: float


FAMILIES: dict[str, Family] = {
    "temperate": Family(
        water=((46, 68, 74), (38, 60, 70)), grass=((92, 112, 66), (104, 120, 74)), trees=((48, 70, 40), (60, 80, 44)),
        soils=((134, 114, 84), (116, 128, 74), (158, 144, 92)), asphalt=((98, 98, 100), (84, 86, 90)), concrete=((166, 164, 158),),
        gravel=((146, 138, 124),), roofs=((142, 84, 66), (120, 116, 112), (168, 160, 150), (96, 74, 64)),
        noise=("smooth", "smooth", "billow"), cells=(90, 18, 4), contrast=1.0,
    ),
    "mediterranean": Family(
        water=((30, 82, 106), (34, 94, 112)), grass=((132, 126, 84), (118, 116, 76)), trees=((66, 80, 50), (80, 90, 60)),
        soils=((178, 150, 112), (160, 128, 96), (142, 138, 92)), asphalt=((126, 122, 116), (112, 110, 108)), concrete=((196, 188, 174),),
        gravel=((186, 172, 146),), roofs=((188, 112, 80), (202, 138, 104), (206, 198, 184), (170, 96, 70)),
        noise=("smooth", "cells", "smooth"), cells=(120, 11, 3), contrast=1.1,
    ),
    "nordic": Family(
        water=((30, 42, 54), (26, 38, 44)), grass=((84, 98, 70), (96, 102, 80)), trees=((34, 54, 42), (44, 62, 46)),
        soils=((104, 96, 82), (92, 104, 70), (124, 118, 96)), asphalt=((78, 80, 84), (90, 92, 94)), concrete=((148, 150, 152),),
        gravel=((122, 120, 116),), roofs=((74, 74, 78), (124, 58, 50), (104, 108, 112), (58, 62, 68)),
        noise=("billow", "smooth", "ridged"), cells=(70, 22, 5), contrast=0.9,
    ),
    "arid": Family(
        water=((52, 104, 112), (60, 112, 110)), grass=((158, 142, 104), (150, 140, 98)), trees=((84, 90, 58), (72, 84, 52)),
        soils=((196, 168, 126), (184, 150, 110), (206, 182, 142)), asphalt=((134, 126, 118), (118, 112, 108)), concrete=((208, 198, 180),),
        gravel=((202, 180, 146),), roofs=((212, 202, 184), (190, 176, 156), (226, 220, 208), (164, 148, 128)),
        noise=("ridged", "smooth", "smooth"), cells=(100, 26, 4), contrast=0.9,
    ),
    "tropical": Family(
        water=((34, 110, 112), (44, 88, 84)), grass=((80, 122, 58), (92, 130, 66)), trees=((36, 82, 36), (52, 96, 40)),
        soils=((152, 92, 62), (112, 128, 60), (136, 104, 70)), asphalt=((104, 100, 98), (92, 90, 90)), concrete=((178, 174, 162),),
        gravel=((162, 126, 100),), roofs=((70, 120, 140), (168, 74, 58), (190, 186, 178), (128, 132, 134)),
        noise=("smooth", "billow", "cells"), cells=(60, 14, 4), contrast=1.2,
    ),
    "continental": Family(
        water=((66, 78, 66), (58, 72, 64)), grass=((110, 118, 78), (98, 110, 70)), trees=((62, 78, 46), (74, 84, 50)),
        soils=((88, 74, 62), (150, 138, 88), (104, 116, 70)), asphalt=((110, 110, 108), (96, 96, 98)), concrete=((174, 170, 164),),
        gravel=((134, 126, 116),), roofs=((158, 92, 76), (136, 140, 138), (92, 98, 104), (180, 172, 164)),
        noise=("smooth", "ridged", "smooth"), cells=(110, 16, 3), contrast=1.0,
    ),
    "coastal": Family(
        water=((40, 90, 104), (50, 80, 96)), grass=((116, 124, 84), (128, 130, 92)), trees=((58, 76, 52), (70, 86, 60)),
        soils=((186, 174, 146), (140, 134, 92), (168, 152, 116)), asphalt=((116, 116, 118), (104, 106, 108)), concrete=((188, 186, 182),),
        gravel=((176, 166, 148),), roofs=((110, 122, 134), (198, 196, 192), (150, 98, 82), (84, 90, 98)),
        noise=("billow", "billow", "smooth"), cells=(80, 20, 5), contrast=1.0,
    ),
    "steppe": Family(
        water=((72, 92, 94), (60, 84, 90)), grass=((142, 136, 90), (130, 128, 84)), trees=((86, 92, 58), (70, 82, 50)),
        soils=((168, 148, 104), (120, 102, 78), (186, 170, 118)), asphalt=((120, 118, 112), (106, 104, 102)), concrete=((182, 176, 164),),
        gravel=((170, 158, 134),), roofs=((160, 160, 156), (122, 92, 76), (94, 110, 124), (196, 190, 178)),
        noise=("ridged", "cells", "billow"), cells=(130, 13, 4), contrast=1.15,
    ),
    "alpine": Family(
        water=((48, 98, 100), (36, 78, 90)), grass=((98, 124, 72), (86, 112, 68)), trees=((40, 62, 44), (50, 74, 50)),
        soils=((124, 112, 94), (108, 130, 72), (148, 136, 108)), asphalt=((88, 90, 96), (100, 102, 106)), concrete=((170, 172, 174),),
        gravel=((154, 152, 148),), roofs=((98, 66, 52), (116, 112, 110), (146, 88, 68), (82, 80, 84)),
        noise=("smooth", "cells", "billow"), cells=(75, 17, 5), contrast=1.05,
    ),
    "delta": Family(
        water=((88, 94, 76), (76, 86, 78)), grass=((104, 126, 76), (122, 130, 86)), trees=((56, 82, 48), (68, 88, 56)),
        soils=((118, 96, 76), (138, 132, 80), (96, 112, 68)), asphalt=((106, 104, 104), (118, 118, 120)), concrete=((180, 176, 166),),
        gravel=((158, 146, 128),), roofs=((150, 104, 84), (176, 178, 178), (108, 116, 122), (134, 76, 62)),
        noise=("ridged", "billow", "smooth"), cells=(85, 15, 4), contrast=1.1,
    ),
    "savanna": Family(
        water=((62, 84, 82), (74, 96, 88)), grass=((144, 132, 80), (126, 124, 74)), trees=((74, 84, 46), (60, 76, 42)),
        soils=((172, 116, 78), (154, 134, 90), (188, 154, 108)), asphalt=((122, 114, 108), (108, 104, 102)), concrete=((190, 180, 164),),
        gravel=((182, 150, 118),), roofs=((176, 170, 160), (140, 120, 104), (198, 190, 176), (150, 84, 62)),
        noise=("billow", "ridged", "cells"), cells=(105, 21, 3), contrast=1.0,
    ),
}  # fmt: skip

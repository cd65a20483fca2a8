"""Labels of a scene as text in DOTA's format."""

from mutdet.data.scenes.draw import Scene


def dota_text(scene: Scene) -> str:
    """Two header lines, then `x1 y1 x2 y2 x3 y3 x4 y4 category difficulty` for each object, in pixels (pixel i covers [i, i + 1))."""
    lines = ["imagesource:procedural", f"gsd:{scene.gsd:.4f}"]
    for polygon, category, difficulty in zip(scene.polygons, scene.categories, scene.difficulties, strict=True):
        lines.append(" ".join([*(f"{number:.2f}" for number in polygon.ravel()), category, str(difficulty)]))
    return "\n".join(lines) + "\n"

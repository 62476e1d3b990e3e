"""The heat map as a representation."""

from service.codecs.codec import Codec, Drawing
from service.codecs.svg.drawing import draw, require_drawable
from service.schemas.base import Text

CODEC = Codec(
    media_type="image/svg+xml",
    suffix=".svg",
    title=Text("SVG 图像", "SVG picture"),
    answer=Text("带标注的权重热图。", "The weights as a labelled heat map."),
    drawing=Drawing(draw, require_drawable),
)

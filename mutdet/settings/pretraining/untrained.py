"""Settings of pre-training method `none`."""

from typing import ClassVar, Literal

from pydantic import Field

from mutdet.settings.pretrain import PretrainMethodSettings


class UntrainedPretrainSettings(PretrainMethodSettings):
    """No pre-training: the backbone's weights in a detector that is otherwise as initialised."""

    uses_gpu: ClassVar[bool] = False
    method: Literal["none"] = Field("none", description="No pre-training.")

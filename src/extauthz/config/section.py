"""What every section of a file is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping whose keys are all known."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

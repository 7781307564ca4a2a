"""The machines that programs are measured on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

_DIGITS = 8


@dataclass(frozen=True)
class Machine:
    """What a time depends on beside the program and how it is measured. Machines that are alike are one.

    Attributes:
        cpu: the processor's model.
        cores: how many there are; None where the system does not say.
        frequency_governor: the system's, where it can be read.
        os: name and version of the system, and the architecture.
        llvm: the version that compiles the programs.
    """

    cpu: str
    cores: int | None
    frequency_governor: str | None
    os: str
    llvm: str

    @property
    def id(self) -> str:
        """A short name that follows from all that is said of it."""
        content = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]

    @classmethod
    def of_record(cls, record: Any) -> Machine:
        """Return the machine of a record that was read.

        Raises:
            ValueError: when it is none.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(record, dict) or record.keys() != fields:
            raise ValueError("a machine has cpu, cores, frequency_governor, os and llvm, and no more")
        machine = cls(**record)
        texts = (machine.cpu, machine.os, machine.llvm, machine.frequency_governor or "")
        if not all(isinstance(text, str) for text in texts) or type(machine.cores) not in (int, type(None)):
            raise ValueError("a machine is described by texts, and the number of its cores")
        return machine

"""The files that people attached: what they are, and what the check found in them."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from engine.store.tables import uploads


@dataclass(frozen=True)
class StoredUpload:
    """A file that was attached; `size` in bytes, `report` as the check wrote it, `at` in seconds since 1970."""

    sha256: str
    name: str
    size: int
    report: dict[str, object]
    at: float


def add_upload(db: Connection, sha256: str, name: str, size: int, report: dict[str, object], at: float) -> None:
    """Store an upload; the same bytes again replace its name and report."""
    db.execute(delete(uploads).where(uploads.c.sha256 == sha256))
    row = {"sha256": sha256, "name": name, "size": size, "report": json.dumps(report), "at": at}
    db.execute(insert(uploads).values(row))


def upload(db: Connection, sha256: str) -> StoredUpload | None:
    row = db.execute(select(uploads).where(uploads.c.sha256 == sha256)).first()
    return StoredUpload(row.sha256, row.name, row.size, json.loads(row.report), row.at) if row else None

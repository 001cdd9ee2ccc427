"""The console needs nothing but a terminal."""

from bot.setup.findings import Finding, well


async def examine(team_channel: str) -> list[Finding]:
    return [well("console", "The console needs no account.")]

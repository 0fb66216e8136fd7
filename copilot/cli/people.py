"""``pangting users``: accounts. Passwords are chosen by the person over a one-time enrolment link."""

from __future__ import annotations

import os
from typing import Annotated, cast

import typer

from copilot.cli.output import Json, print_json, settings_of
from copilot.domain.people import ROLES, Role

app = typer.Typer(help="Accounts and enrolment links.", no_args_is_help=True)
Username = Annotated[str, typer.Argument(help="Name to sign in with.")]


@app.command()
def invite(
    context: typer.Context,
    username: Username,
    role: Annotated[list[str], typer.Option("--role", help=f"One of {', '.join(ROLES)}; may be given several times.")],
    name: Annotated[str, typer.Option("--name", help="Name shown on screens (default: the user name).")] = "",
    password_env: Annotated[
        str, typer.Option("--password-env", help="Environment variable with a password, for unattended set-up; else a link is printed.")
    ] = "",
) -> None:
    """Create an account and print its one-time enrolment link (or set the password from a variable)."""
    from copilot.assembly import open_people

    wrong = [item for item in role if item not in ROLES]
    if wrong:
        raise typer.BadParameter(f"Unknown role {', '.join(wrong)}; roles are {', '.join(ROLES)}.")
    settings = settings_of(context)
    with open_people(settings) as desk:
        password = os.environ.get(password_env, "") if password_env else ""
        if password_env and not password:
            raise typer.BadParameter(f"The variable {password_env} is empty.")
        link = desk.invite(username, name or username, frozenset(cast("list[Role]", role)), password)
    typer.echo(link)


@app.command("list")
def list_users(context: typer.Context, json_: Json = False) -> None:
    """The accounts of the organisation."""
    from copilot.assembly import open_people

    with open_people(settings_of(context)) as desk:
        users = desk.users()
    if json_:
        print_json([{"username": u.username, "display_name": u.display_name, "roles": sorted(u.roles), "active": u.active} for u in users])
        return
    for user in users:
        typer.echo(f"{user.username:<20} {user.display_name:<16} {', '.join(sorted(user.roles))}{'' if user.active else '  (inactive)'}")

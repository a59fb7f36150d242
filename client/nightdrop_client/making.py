"""Making one set: clear, plan, let duplicity make it, settle it, and say how that went."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime

from nightdrop.engine.events import Event
from nightdrop.engine.process import Engine
from nightdrop.envelope.recipients import Recipient
from nightdrop.errors import ConfigurationError, NightdropError
from nightdrop.names import SetType, format_time
from nightdrop.progress import ProgressLine
from nightdrop_client.configuration import Client
from nightdrop_client.droplog import DamagedLogError, DropLog, begin_anew
from nightdrop_client.duplicity_arguments import backup_arguments
from nightdrop_client.job import Job
from nightdrop_client.leftovers import clear
from nightdrop_client.mirrors import GREETING, Mirrors
from nightdrop_client.outcome import Outcome
from nightdrop_client.planning import Plan, plan
from nightdrop_client.progress import Expected, RunProgress
from nightdrop_client.retiring import retire_old_chains
from nightdrop_client.rotation import forget_recipients, keep_recipients, recipients_of
from nightdrop_client.settling import settle
from nightdrop_client.sources.preparing import Prepared, prepared
from nightdrop_client.sources.secrets import with_passwords
from nightdrop_client.stand_in import settings, write_gpgsm
from nightdrop_client.state import State

Say = Callable[[str], object]


def make_set(client: Client, state: State, engine: Engine, full_wanted: bool, say: Say) -> Outcome:
    """Make one set with the engine, which is started already. The state is locked.

    Raises NightdropError if there is none in the end; then nothing older is lost.
    """
    begun = time.monotonic()
    log, damage = _open_log(state)
    _require_own_log(client, log, state)
    for key, why in clear(state, log, time.time()).items():
        say(f"nothing new will build on {key.stem}: {why}")
    bundle, no_password = with_passwords(client.bundle)
    client = replace(client, bundle=bundle)
    names = [mirror.name for mirror in client.bundle.mirrors]
    patience = client.limits.patience(client.patience, time.time())
    # What is sent from here is small; volumes go from the duplicity process, with all of `grace`.
    limits = replace(client.limits, grace=min(client.limits.grace, GREETING))
    mirrors = Mirrors(client.bundle.host, client.bundle.mirrors, limits, patience)
    mirrors.bury(no_password)
    try:
        mirrors.greet()
        for name, why in mirrors.failures.items():
            say(f"the mirror {name} is away: {why}")
        settle(client, state, log, mirrors)
        chosen = plan(log, names, client.full_every, time.time(), full_wanted)
        say(f"making {'a full' if chosen.type == 'full' else 'an incremental'}: {chosen.reason}")
        moment = log.take_time()
        recipients = _recipients(client, state, log, chosen, moment)
        if {one.fingerprint for one in recipients} != {one.fingerprint for one in client.recipients}:
            say("sealed to the last full's recipients; the new ones take effect with the next full")
        with (
            client.hooks.around(client.facts | {"NIGHTDROP_TYPE": chosen.type}) as problems,
            prepared(client.sources, state, problems) as sources,
        ):
            sealing = replace(client, recipients=recipients)
            job = prepare_job(sealing, state, chosen.type, moment, dead=mirrors.failures, sources=sources)
            expected = _expected(log, chosen.type)
            stem, volumes, warnings = _run_duplicity(engine, job, mirrors, expected, say)
        done = next(done for done in log.sets() if done.key.stem == stem)
        settled = settle(client, state, log, mirrors)
        problems += damage + settled.problems + _retire(state, log, mirrors)
        return Outcome(
            chosen,
            done,
            sum(file.size for file in log.files(done.key).values()),
            volumes,
            time.monotonic() - begun,
            mirrors.failures,
            settled.lacking[done.key.stem],
            warnings,
            problems,
        )
    finally:
        mirrors.close()
        log.close()


def _open_log(state: State) -> tuple[DropLog, list[str]]:
    """The drop log, and what is to be said of it: a damaged one is not believed in anything."""
    try:
        return DropLog(state.drop_log), []
    except DamagedLogError as error:
        log = begin_anew(state.drop_log)
        return log, [f"{error.message}; it was put aside, and nothing new builds on the sets in it"]


def _retire(state: State, log: DropLog, mirrors: Mirrors) -> list[str]:
    """Let go of what is old; what kept it from that, which costs the set that was made nothing."""
    try:
        retire_old_chains(state, log, mirrors.living)
    except (NightdropError, OSError) as error:
        return [f"what is old could not be cleared from the state: {error}"]
    return []


def _recipients(
    client: Client, state: State, log: DropLog, chosen: Plan, moment: int
) -> tuple[Recipient, ...]:
    """Whom the set that is made now is sealed to."""
    keys = [done.key for done in log.sets()]
    if chosen.type == "full":
        forget_recipients(state, keys)
        keep_recipients(client, state, format_time(datetime.fromtimestamp(moment, UTC)))
        return tuple(client.recipients)
    return recipients_of(client, state, keys[-1], keys)


def prepare_job(
    client: Client,
    state: State,
    set_type: SetType,
    moment: int,
    *,
    dead: dict[str, str],
    sources: Prepared,
) -> Job:
    """Lay out what the duplicity process needs, and put into a job what it is told."""
    recipients = state.scratch / "recipients.pem"
    recipients.write_text("".join(recipient.pem for recipient in client.recipients))
    stand_in = state.scratch / "gpgsm"
    sealing = settings(recipients, client.cipher, client.compress, client.volume_size)
    write_gpgsm(stand_in, sealing)
    return Job(
        arguments=backup_arguments(client, state, set_type, moment, stand_in),
        sealing=sealing,
        host=client.bundle.host,
        mirrors=[asdict(mirror) for mirror in client.bundle.mirrors],
        state=str(state.root),
        started=moment,
        patience=client.limits.patience(client.patience, time.time()),
        dead=dead,
        limits=client.limits.as_json(),
        sources=sources.ready.as_json(),
        secrets={place: asdict(secrets) for place, secrets in sources.secrets.items()},
    )


def _expected(log: DropLog, set_type: SetType) -> Expected:
    """A full is as far as what it has stored; an incremental stores little, but looks at everything."""
    before = [done for done in log.sets(retired_too=True) if done.key.type == set_type]
    if set_type == "full" and before:
        return Expected(stored=sum(file.size for file in log.files(before[-1].key).values()))
    return Expected(looked_at=max((done.size for done in log.sets()[-1:]), default=0))


def _run_duplicity(
    engine: Engine, job: Job, mirrors: Mirrors, expected: Expected, say: Say
) -> tuple[str, int, list[str]]:
    """Let duplicity make its set: the set's stem, how many volumes it has, and what it warned of.

    Raises NightdropError if there is no finished set in the end.
    """
    lost: dict[str, str] = {}
    finished = ""
    with ProgressLine() as line:
        progress = RunProgress(line, mirrors.living, expected, say)

        def hear(event: Event) -> None:
            nonlocal finished
            progress.see(event)
            if event.kind == "lost":
                lost[event.mirror] = event.text
            elif event.kind == "finished":
                finished = event.text

        engine.proceed(job.to_bytes(), hear)
    mirrors.bury(lost)
    if not finished:
        if not mirrors.living:
            reasons = "; ".join(f"{name}: {why}" for name, why in mirrors.failures.items())
            raise NightdropError(
                f"every mirror was lost in the middle of the backup ({reasons})",
                "what was dropped is no complete set; the next run makes a new one",
            )
        raise engine.failure("no backup was made")
    return finished, progress.volumes, engine.warnings


def _require_own_log(client: Client, log: DropLog, state: State) -> None:
    """Refuse the state of another host: what is dropped in its folder cannot be built on in ours."""
    if (owner := log.owner(client.bundle.host)) != client.bundle.host:
        raise ConfigurationError(
            f"{client.path}: the state {state.root} is that of the host {owner}, and the bundle's is "
            f"{client.bundle.host}",
            "give each job a `state` of its own; if the host was renamed, move the old state away: the "
            "next run is a full then",
        )

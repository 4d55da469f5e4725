"""What can be done with an import that is there: list, commit, cancel, and read the rows that failed."""

from collections.abc import Callable
from dataclasses import replace

from carillon.contacts.v1 import imports_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database
from chassis.telemetry import current_traceparent
from services.contacts import convert, errors, metrics
from services.contacts.domain import tags
from services.contacts.domain.cells import marked
from services.contacts.domain.problems import invalid
from services.contacts.imports import files, repository
from services.contacts.imports import undo as undoing
from services.contacts.imports.columns import ERROR_TITLE
from services.contacts.imports.headers import titled
from services.contacts.imports.mapping import Choice, choose
from services.contacts.imports.plan import Plan
from services.contacts.imports.record import RowError
from services.contacts.imports.repository import Locked
from services.contacts.imports.service import answer, check_identifies, read_list_ids
from services.contacts.intake import read_region

MAX_ERRORS_A_PAGE = 1_000
UNDONE = frozenset({"undoing", "undone"})
LEFTOVERS: dict[str, pb.LeftoverReason.ValueType] = {
    "changed_since": pb.LEFTOVER_REASON_CHANGED_SINCE,
    "updated": pb.LEFTOVER_REASON_UPDATED,
}
ENDED = frozenset({"completed", "failed", "cancelled"})


class ImportLifecycle:
    def __init__(self, db: Database, wake_workers: Callable[[], None]) -> None:
        """wake_workers: best effort, they poll besides."""
        self._db = db
        self._wake_workers = wake_workers

    async def page(self, call: Call, request: pb.ListImportsRequest) -> pb.ListImportsResponse:
        """Newest first."""
        limit = paging.page_size(request.page_size)
        scope = f"imports {call.account}"
        before = None
        if request.cursor:
            (last,) = paging.decode_cursor(request.cursor, scope, parts=1)
            before = ids.decode("imp", last)
        async with self._db.read(call.account) as tx:
            found = await repository.page(tx, call.account, before=before, limit=limit + 1)
        cursor = paging.encode_cursor(scope, ids.encode("imp", found[limit - 1].id)) if len(found) > limit else ""
        return pb.ListImportsResponse(imports=map(convert.import_job, found[:limit]), next_cursor=cursor)

    async def commit(self, call: Call, request: pb.CommitImportRequest) -> pb.CommitImportResponse:
        """Raises NotFound, FailedPrecondition(INVALID_STATE), InvalidArgument."""
        import_id = errors.parse_id("imp", request.id, kind="import")
        async with self._db.write(call) as tx:
            await files.touch(tx, import_id)
            held = await repository.lock(tx, call.account, import_id)
            if held is None:
                raise errors.not_found("import", request.id)
            if not can_begin(held):
                raise errors.invalid_state(held.status, "Only an uploaded import can begin, while its file is kept.")
            plan = chosen(held.plan, request)
            await repository.check_lists(tx, plan.list_ids)
            begun = await repository.begin(tx, call.account, import_id, plan=plan, before=held)
            shown = await repository.preview(tx, call.account, import_id)
            response = await tx.reply(pb.CommitImportResponse(**answer(begun, shown)))
        self._wake_workers()
        return response

    async def cancel(self, call: Call, public_id: str) -> pb.CancelImportResponse:
        """Raises NotFound, FailedPrecondition(INVALID_STATE)."""
        import_id = errors.parse_id("imp", public_id, kind="import")
        async with self._db.write(call) as tx:
            stopped = await repository.cancel(tx, call.account, import_id)
            found = await repository.get(tx, call.account, import_id)
            if found is None:
                raise errors.not_found("import", public_id)
            if found.status != "cancelled":
                raise errors.invalid_state(found.status, f"The import is {found.status} already.")
            ended = convert.import_job(found)
            if stopped is not None and not stopped.dry_run:
                tx.add_event("import.completed", events_pb2.ImportCompleted(**{"import": ended}))
                metrics.IMPORTS.labels("cancelled").inc()
            return await tx.reply(pb.CancelImportResponse(**{"import": ended}))

    async def undo(self, call: Call, public_id: str) -> pb.UndoImportResponse:
        """Raises NotFound, FailedPrecondition(INVALID_STATE)."""
        import_id = errors.parse_id("imp", public_id, kind="import")
        async with self._db.write(call) as tx:
            await undoing.begin(tx, call.account, import_id)
            found = await repository.get(tx, call.account, import_id)
            if found is None:
                raise errors.not_found("import", public_id)
            if found.status not in UNDONE:
                raise errors.invalid_state(found.status, "Only an import that ended, and was no dry run, is undone.")
            response = await tx.reply(pb.UndoImportResponse(**{"import": convert.import_job(found)}))
        self._wake_workers()
        return response

    async def leftovers(self, call: Call, request: pb.ListImportLeftoversRequest) -> pb.ListImportLeftoversResponse:
        """Raises NotFound, FailedPrecondition(INVALID_STATE), InvalidArgument."""
        import_id = errors.parse_id("imp", request.id, kind="import")
        limit = paging.page_size(request.page_size)
        scope = f"import leftovers {call.account} {request.id}"
        after = None
        if request.cursor:
            (last,) = paging.decode_cursor(request.cursor, scope, parts=1)
            after = ids.decode("cnt", last)
        async with self._db.read(call.account) as tx:
            found = await repository.get(tx, call.account, import_id)
            if found is None:
                raise errors.not_found("import", request.id)
            if found.status != "undone":
                raise errors.invalid_state(found.status, "The import is not undone.")
            left = await undoing.left(tx, call.account, import_id, after=after, limit=limit + 1)
        more = len(left) > limit
        cursor = paging.encode_cursor(scope, ids.encode("cnt", left[limit - 1].contact_id)) if more else ""
        return pb.ListImportLeftoversResponse(leftovers=map(leftover, left[:limit]), next_cursor=cursor)

    async def failed_rows(self, call: Call, request: pb.ListImportErrorsRequest) -> pb.ListImportErrorsResponse:
        """Raises NotFound, InvalidArgument."""
        import_id = errors.parse_id("imp", request.id, kind="import")
        limit = request.page_size or paging.DEFAULT_SIZE
        if not 1 <= limit <= MAX_ERRORS_A_PAGE:
            raise errors.invalid([invalid("limit", f"limit must be 1 to {MAX_ERRORS_A_PAGE}.")])
        scope = f"import errors {call.account} {request.id}"
        after = int(*paging.decode_cursor(request.cursor, scope, parts=1)) if request.cursor else 0
        async with self._db.read(call.account) as tx:
            plan = await repository.plan(tx, call.account, import_id)
            if plan is None:
                raise errors.not_found("import", request.id)
            found = await repository.errors(tx, call.account, import_id, after=after, limit=limit + 1)
        cursor = paging.encode_cursor(scope, str(found[limit - 1].row)) if len(found) > limit else ""
        shown = shown_columns(plan) if request.with_cells else []
        return pb.ListImportErrorsResponse(
            rows=[failed_row(fault, shown, width=len(plan.columns)) for fault in found[:limit]],
            next_cursor=cursor,
            titles=[plan.columns[at].title for at in shown],
        )


def can_begin(held: Locked) -> bool:
    rehearsed = held.plan.dry_run and held.status in ENDED
    return held.has_file and (held.status == "uploaded" or rehearsed)


def chosen(plan: Plan, request: pb.CommitImportRequest) -> Plan:
    """The plan with what the client wants of it; what it leaves out stays. Raises InvalidArgument, NotFound."""
    choices = [Choice(one.column, one.target, one.keep_existing) for one in request.mapping]
    with errors.refusing():
        columns = choose(plan.columns, choices)
        region = read_region(request.default_region)
        added = tuple(tags.clean(request.tags))
        lists = read_list_ids(request.list_ids)
    check_identifies(columns)
    header = request.has_header if request.HasField("has_header") else plan.has_header
    return replace(
        plan,
        columns=columns if header else titled(columns),
        has_header=header,
        on_duplicate=convert.ON_DUPLICATE[request.on_duplicate] if request.on_duplicate else plan.on_duplicate,
        default_region=region or plan.default_region,
        tags=added or plan.tags,
        list_ids=lists or plan.list_ids,
        dry_run=request.dry_run,
        traceparent=current_traceparent(),
    )


def leftover(left: undoing.Left) -> pb.Leftover:
    return pb.Leftover(contact_id=ids.encode("cnt", left.contact_id), reason=LEFTOVERS[left.reason])


def shown_columns(plan: Plan) -> list[int]:
    """Places of the columns but for the one that an earlier file of failed rows brought along."""
    return [at for at, column in enumerate(plan.columns) if column.title.lower() != ERROR_TITLE]


def failed_row(fault: RowError, shown: list[int], *, width: int) -> pb.FailedRow:
    cells = fault.cells or ()
    kept = [cells[at] for at in shown if at < len(cells)]
    # Cells behind the last column are what is wrong with such a row.
    more = cells[width:] if shown else ()
    return pb.FailedRow(error=convert.row_error(fault), cells=map(marked, [*kept, *more]))

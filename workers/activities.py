"""Which activities there are, by the kind of work that decides on whose queue they run.

A new activity is a line in one of the three tuples; a new class of activities is a line in
`_with_what_they_need` as well.
"""

from collections.abc import Callable, Iterable
from typing import Any

from activities.approvals import ApprovalActivities
from activities.arithmetic import ArithmeticActivities
from activities.batches import BatchActivities
from activities.conversation import ConversationActivities
from activities.documents import DocumentActivities
from activities.drafts import DraftActivities
from activities.external_calls import ExternalCallActivities
from activities.generation import GenerationActivities
from activities.interactions import InteractionActivities
from activities.notifications import NotificationActivities
from activities.orders import OrderActivities
from activities.payments import PaymentActivities
from activities.pool import PoolActivities
from activities.records import RecordActivities
from activities.research import ResearchActivities
from activities.reviews import ReviewActivities
from activities.thinking import ThinkingActivities
from activities.tickets import TicketActivities
from activities.tools import ToolActivities
from activities.weather import WeatherActivities
from workers.resources import Resources

Activity = Callable[..., Any]

QUERIES_AND_MUTATIONS: tuple[Activity, ...] = (
    ApprovalActivities.request_approval,
    ApprovalActivities.check_decision,
    ApprovalActivities.record_decisions,
    ApprovalActivities.mark_request,
    ApprovalActivities.settle_request,
    ArithmeticActivities.add_up,
    ArithmeticActivities.find_mean,
    BatchActivities.submit_documents,
    BatchActivities.look_at_batch,
    BatchActivities.stop_batch,
    BatchActivities.read_batch_failures,
    ConversationActivities.create_thread,
    ConversationActivities.save_messages,
    ConversationActivities.observe,
    DocumentActivities.get_document,
    DocumentActivities.combine_notes,
    DocumentActivities.save_analysis,
    DraftActivities.save_draft,
    InteractionActivities.save_interaction,
    OrderActivities.reserve_inventory,
    OrderActivities.release_inventory,
    OrderActivities.abandon_refund,
    OrderActivities.fulfil_order,
    OrderActivities.look_up_order,
    PoolActivities.claim_job,
    PoolActivities.end_job_workflow,
    PoolActivities.enqueue_jobs,
    PoolActivities.note_told,
    RecordActivities.validate_task,
    RecordActivities.validate_user_task,
    RecordActivities.save_status,
    RecordActivities.log_error,
    ResearchActivities.keep_finding,
    ResearchActivities.join_findings,
    ResearchActivities.save_report,
    ReviewActivities.save_approved,
    TicketActivities.create_ticket,
    TicketActivities.find_ticket,
)
"""What reads and writes the project's own database, or is quick: on the workflows' own queue."""

GENERATING: tuple[Activity, ...] = (
    GenerationActivities.generate_text,
    GenerationActivities.generate_object,
)

MODEL_CALLS: tuple[Activity, ...] = (
    *GENERATING,
    DocumentActivities.read_sections,
    DraftActivities.write_task_draft,
    ResearchActivities.compose_report,
    ResearchActivities.review_report,
    ResearchActivities.refine_report,
    ResearchActivities.evaluate_report,
    ThinkingActivities.think,
)
"""What asks a model: on the queue whose rate is limited."""

CALLS_OUT: tuple[Activity, ...] = (
    ExternalCallActivities.fetch_body,
    NotificationActivities.notify,
    PaymentActivities.charge_payment,
    PaymentActivities.refund_payment,
    WeatherActivities.fetch_weather,
)
"""What calls the world: services, and addresses that people and settings name."""


def bound(activities: Iterable[Activity], resources: Resources) -> tuple[Activity, ...]:
    """Activities tied to what they need; plain functions need nothing."""
    owners = {type(owner).__name__: owner for owner in _with_what_they_need(resources)}
    return tuple(_bound_to(owners, activity) for activity in activities)


def _bound_to(owners: dict[str, object], activity: Activity) -> Activity:
    owner, _, name = activity.__qualname__.rpartition(".")
    return getattr(owners[owner], name) if owner else activity


def tools(resources: Resources) -> tuple[Activity, ...]:
    """The tools of agents; a new one is a file in `durable_agents/agent/tools` and no line here."""
    counted = resources.metrics.acted
    owner = ToolActivities(resources.database, resources.tool_context, watch=counted)
    return tuple(owner.activities())


def _with_what_they_need(resources: Resources) -> tuple[object, ...]:
    """Each class of activities with its connections and clients."""
    settings, database, asker = resources.settings, resources.database, resources.asker
    return (
        ApprovalActivities(
            database,
            signing_key=settings.signing_key.get_secret_value(),
            inbox_url=settings.inbox_url,
        ),
        ArithmeticActivities(),
        BatchActivities(database, resources.wake_pool, resources.cancel_batch),
        ConversationActivities(database),
        DocumentActivities(asker, database),
        DraftActivities(asker, database),
        ExternalCallActivities(
            database, frozenset(settings.fetch_allow), frozenset(settings.fetch_only)
        ),
        GenerationActivities(asker, database),
        InteractionActivities(database),
        NotificationActivities(
            database,
            resources.notifier,
            resend_uncertain=settings.notify_resend_uncertain == "on",
        ),
        OrderActivities(database),
        PaymentActivities(database, resources.payments),
        PoolActivities(database, resources.wake_pool, resources.end_workflow),
        RecordActivities(database),
        ResearchActivities(asker, database),
        ReviewActivities(database),
        ThinkingActivities(asker, database),
        TicketActivities(database),
        WeatherActivities(resources.http, settings.geocoding_url, settings.forecast_url),
    )

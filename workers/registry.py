"""Which role runs which workflows and activities, on which task queue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from activities.arithmetic import ArithmeticActivities
from activities.conversation import ConversationActivities
from activities.documents import DocumentActivities
from activities.drafts import DraftActivities
from activities.external_calls import ExternalCallActivities
from activities.generation import GenerationActivities
from activities.interactions import InteractionActivities
from activities.jobs import JobActivities
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
from durable_agents.agent.model_queues import quotas_polled
from durable_agents.models import queues
from workers.resources import Resources
from workers.roles import Role
from workflows.analyze_document import DocumentAnalysisWorkflow
from workflows.debug import DebugWorkflow
from workflows.external_call import ExternalCallWorkflow
from workflows.order import OrderWorkflow
from workflows.process_task import TaskWorkflow
from workflows.react import ReActWorkflow
from workflows.research import ResearchWorkflow
from workflows.resilient_task import ResilientTaskWorkflow
from workflows.review import ReviewWorkflow
from workflows.route import RoutingWorkflow
from workflows.support import SupportWorkflow
from workflows.tracked import TrackedWorkflow
from workflows.weather_advice import WeatherAdviceWorkflow
from workflows.work_pool import PoolLaneWorkflow

WORKFLOWS: tuple[type, ...] = (
    DebugWorkflow,
    ExternalCallWorkflow,
    TaskWorkflow,
    ReActWorkflow,
    WeatherAdviceWorkflow,
    TrackedWorkflow,
    SupportWorkflow,
    RoutingWorkflow,
    DocumentAnalysisWorkflow,
    ResearchWorkflow,
    ReviewWorkflow,
    ResilientTaskWorkflow,
    OrderWorkflow,
    PoolLaneWorkflow,
)


@dataclass(frozen=True)
class RoleSpec:
    """What a role runs; `per_second` is the limit of the queue's activities over all workers."""

    queue: str
    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]
    per_second: float | None = None


def specs_of(role: Role, resources: Resources) -> tuple[RoleSpec, ...]:
    """What a role runs on each of its queues: model calls have one for each quota.

    A quota's limit on its queue keeps calls that have to wait from holding slots; that the calls
    themselves keep it, see `durable_agents.agent.quotas`.
    """
    spec = spec_of(role, resources)
    if role != "llm":
        return (spec,)
    limits = resources.settings.quotas
    return tuple(
        replace(spec, queue=queues.llm_queue(quota), per_second=limits.get(quota))
        for quota in quotas_polled(limits)
    )


def spec_of(role: Role, resources: Resources) -> RoleSpec:
    """What a role runs, with its activities tied to what they need."""
    if role == "workflows":
        return RoleSpec(queues.WORKFLOWS, WORKFLOWS, _queries_and_mutations(resources))
    thinking = ThinkingActivities(resources.asker, resources.database)
    generation = GenerationActivities(resources.asker, resources.database)
    generating = (generation.generate_text, generation.generate_object)
    if role == "llm":
        reading = DocumentActivities(resources.asker, resources.database).read_sections
        drafting = DraftActivities(resources.asker, resources.database).write_task_draft
        research = ResearchActivities(resources.asker, resources.database)
        return RoleSpec(
            queues.LLM,
            (),
            (
                thinking.think,
                *generating,
                reading,
                drafting,
                research.compose_report,
                research.review_report,
                research.refine_report,
                research.evaluate_report,
            ),
        )
    tools = ToolActivities(resources.database, resources.tool_context)
    weather = WeatherActivities(
        resources.http, resources.settings.geocoding_url, resources.settings.forecast_url
    )
    calling = (*tools.activities(), weather.fetch_weather, *_calls_out(resources))
    if role == "tools":
        return RoleSpec(queues.TOOLS, (), calling)
    jobs = JobActivities(resources.job_services()).activities()
    return RoleSpec(queues.POOL, (), (*generating, *calling, *jobs))


def _queries_and_mutations(resources: Resources) -> tuple[Callable[..., Any], ...]:
    """What reads and writes the project's own database, on the workflows' own queue."""
    conversation = ConversationActivities(resources.database)
    records = RecordActivities(resources.database)
    tickets = TicketActivities(resources.database)
    interactions = InteractionActivities(resources.database)
    reviews = ReviewActivities(resources.database)
    drafts = DraftActivities(resources.asker, resources.database)
    documents = DocumentActivities(resources.asker, resources.database)
    research = ResearchActivities(resources.asker, resources.database)
    return (
        conversation.create_thread,
        conversation.save_messages,
        conversation.observe,
        records.validate_task,
        records.validate_user_task,
        records.save_result,
        records.save_status,
        records.log_error,
        documents.get_document,
        documents.combine_notes,
        documents.save_analysis,
        research.keep_finding,
        research.save_report,
        *_arithmetic(),
        tickets.create_ticket,
        tickets.find_ticket,
        interactions.save_interaction,
        reviews.request_review,
        reviews.save_approved,
        reviews.close_review,
        drafts.save_draft,
        *_order_steps(resources),
        *_pool_steps(resources),
    )


def _arithmetic() -> tuple[Callable[..., Any], ...]:
    """The two steps of the flow that is there to be watched."""
    arithmetic = ArithmeticActivities()
    return (arithmetic.add_up, arithmetic.find_mean)


def _pool_steps(resources: Resources) -> tuple[Callable[..., Any], ...]:
    """What lanes and other workflows do to the work pools."""
    pool = PoolActivities(resources.database, resources.wake_pool)
    return (pool.claim_job, pool.enqueue_jobs)


def _order_steps(resources: Resources) -> tuple[Callable[..., Any], ...]:
    """What an order does to our own tables."""
    orders = OrderActivities(resources.database)
    return (
        orders.reserve_inventory,
        orders.release_inventory,
        orders.fulfil_order,
        orders.look_up_order,
    )


def _calls_out(resources: Resources) -> tuple[Callable[..., Any], ...]:
    """Calls to addresses that people and settings name."""
    settings = resources.settings
    external = ExternalCallActivities(resources.database, frozenset(settings.fetch_allow))
    notifying = NotificationActivities(
        resources.database,
        resources.notifier,
        resend_uncertain=settings.notify_resend_uncertain == "on",
    )
    paying = PaymentActivities(resources.database, resources.payments)
    payments = (paying.charge_payment, paying.refund_payment)
    return (external.fetch_body, notifying.notify, *payments)

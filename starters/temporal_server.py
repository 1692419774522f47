"""What `doctor` finds out about the Temporal server that it reached."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import is_cloud, way_to

SEARCH_ATTRIBUTES = ("Pattern", "UserId", "Phase")
CLOSED = {
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
}


async def look_at_server(client: Client) -> str:
    """Tell what was reached, how, as whom, and which namespace is used."""
    told = await client.workflow_service.get_system_info(GetSystemInfoRequest(), retry=True)
    where = client.service_client.config.target_host
    version = f" (server {told.server_version})" if told.server_version else ""
    return f"{where}{version}, {way_to(client)}, namespace {client.namespace}"


async def look_at_search_attributes(client: Client) -> str:
    """Tell that the search attributes are there.

    Raises:
        ConfigurationError: Some are missing, or have another type; with the command that adds them.
    """
    missing = await _missing(client)
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)} missing: run `{_addition(client, missing)}`."
        )
    return ", ".join(SEARCH_ATTRIBUTES)


async def _missing(client: Client) -> list[str]:
    """Those that are not there as keywords; where types are not shown to us, not there by name."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        known = await client.operator_service.list_search_attributes(request, retry=True)
    except RPCError as error:
        if error.status not in CLOSED:
            raise
        names = await _names(client)
        return [name for name in SEARCH_ATTRIBUTES if name not in names]
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    return [n for n in SEARCH_ATTRIBUTES if known.custom_attributes.get(n) != keyword]


async def _names(client: Client) -> set[str]:
    """Names as the namespace lists them, for which it takes no right of an operator."""
    told = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), retry=True
    )
    return set(told.config.custom_search_attribute_aliases.values())


def _addition(client: Client, names: list[str]) -> str:
    """The command that adds search attributes."""
    address = client.service_client.config.target_host
    if is_cloud(address):
        pairs = " ".join(f"--search-attribute {name}=Keyword" for name in names)
        return f"tcld namespace search-attributes add --namespace {client.namespace} {pairs}"
    pairs = " ".join(f"--name {name} --type Keyword" for name in names)
    return (
        f"temporal operator search-attribute create --address {address} "
        f"--namespace {client.namespace} {pairs}"
    )

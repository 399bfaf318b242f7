"""What Prometheus' operator accepts: models of its objects that others have generated from its definitions (CRDs)."""
import pydantic
from cloudcoil.models.prometheus_operator import v1

VERSION = "monitoring.coreos.com/v1"
MODELS = {"PodMonitor": v1.PodMonitor, "PrometheusRule": v1.PrometheusRule}


def violation(each):
    """Says what is wrong with an object, or None."""
    if each["apiVersion"] != VERSION or each["kind"] not in MODELS:
        return f"the operator has no {each['kind']} in {each['apiVersion']}"
    try:
        read = MODELS[each["kind"]].model_validate(each)
    except pydantic.ValidationError as error:
        return str(error)
    # The models leave out the fields that they do not know, as an API server does: nothing may be missing.
    kept = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    return None if kept == each else f"of {each} the operator would read only {kept}"

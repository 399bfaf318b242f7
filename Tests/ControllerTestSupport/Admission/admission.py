"""Evaluates the expressions of ValidatingAdmissionPolicies as an API server does.

admission.py review        reads {"manifest": TEXT, "review": REVIEW} from standard input, and prints the denials: [] or
                           [{"policy": NAME, "code": 403, "reason": "Forbidden", "message": TEXT}, ...]
admission.py cases FILE    reads a manifest from standard input, and evaluates the cases of FILE; prints those that come out
                           in another way than they should, and last how many there are

A review is an object with `operation`, `resource`, `userInfo`, `object` and `oldObject`, and maybe `subResource`.
"""

import copy
import json
import sys

import celpy
import yaml
from celpy.adapter import json_to_cel

ENVIRONMENT = celpy.Environment()
CODES = {"Invalid": 422, "Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


def evaluate(expression, values):
    program = ENVIRONMENT.program(ENVIRONMENT.compile(expression))
    return program.evaluate(values)


def matches(rule, review):
    resource = review["resource"]
    if review.get("subResource"):
        resources = [resource + "/*", resource + "/" + review["subResource"]]
    else:
        resources = [resource]
    return review["operation"] in rule["operations"] and any(name in rule["resources"] for name in resources)


def denials_of(policy, review):
    spec = policy["spec"]
    if not any(matches(rule, review) for rule in spec["matchConstraints"]["resourceRules"]):
        return
    request = {name: review[name] for name in ("operation", "subResource", "userInfo") if name in review}
    values = {
        "request": json_to_cel(request),
        "object": json_to_cel(review.get("object")),
        "oldObject": json_to_cel(review.get("oldObject")),
    }
    if not all(evaluate(condition["expression"], values) for condition in spec.get("matchConditions", [])):
        return
    variables = {}
    for variable in spec.get("variables", []):
        known = {**values, "variables": json_to_cel(variables)}
        variables[variable["name"]] = evaluate(variable["expression"], known)
    values["variables"] = json_to_cel(variables)
    for validation in spec["validations"]:
        try:
            if evaluate(validation["expression"], values):
                continue
            message = validation["message"]
        except celpy.CELEvalError as error:
            # failurePolicy: Fail
            message = f"expression {validation['expression']!r} resulted in error: {error.args[0]}"
        name, reason = policy["metadata"]["name"], validation.get("reason", "Invalid")
        yield {
            "policy": name,
            "code": CODES[reason],
            "reason": reason,
            "message": f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: {message}",
        }


def denials(manifest, review):
    objects = [value for value in yaml.safe_load_all(manifest) if value]
    bound = {
        value["spec"]["policyName"]
        for value in objects
        if value["kind"] == "ValidatingAdmissionPolicyBinding" and "Deny" in value["spec"]["validationActions"]
    }
    policies = [value for value in objects if value["kind"] == "ValidatingAdmissionPolicy"]
    return [
        denial
        for policy in policies
        if policy["metadata"]["name"] in bound
        for denial in denials_of(policy, review)
    ]


def merged(value, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    value = copy.deepcopy(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            value.pop(name, None)
        else:
            value[name] = merged(value.get(name), change)
    return value


def wrong_cases(manifest, data):
    for case in data["cases"]:
        review = {
            "operation": case.get("operation", "UPDATE"),
            "resource": case.get("resource", "pods"),
            "userInfo": data["users"][case.get("user", data["user"])],
        }
        if "subResource" in case:
            review["subResource"] = case["subResource"]
        before = merged(data["objects"][review["resource"]], case.get("before", {}))
        review["object"] = merged(before, case.get("patch", {}))
        review["oldObject"] = before if review["operation"] == "UPDATE" else None
        found = " ".join(denial["message"] for denial in denials(manifest, review))
        wanted = case.get("denied", "")
        if (wanted == "") != (found == "") or wanted not in found:
            yield f"{case['name']}: {found or 'is allowed'}"


def main():
    if sys.argv[1] == "review":
        question = json.load(sys.stdin)
        print(json.dumps(denials(question["manifest"], question["review"])))
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        data = yaml.safe_load(file)
    for line in wrong_cases(sys.stdin.read(), data):
        print(line)
    print(len(data["cases"]))


main()

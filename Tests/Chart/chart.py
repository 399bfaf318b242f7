"""Renders a Helm chart as Helm does, and compares its objects with those of plain manifests.

chart.py CHART    reads a case from each line of standard input, {"manifest": TEXT, "values": OBJECT}; prints what is not in
                  order, and last how many objects were compared with a schema of Kubernetes
"""
import copy
import json
import pathlib
import shutil
import sys
import tempfile

import helm_python as helm
import kubernetes_validate
import yaml

import operator_models
from kubectl import dry_run

NAMESPACE = "kmesh-system"
# These are Prometheus' operator's, not Kubernetes'.
FOREIGN = "monitoring.coreos.com/"
POLICIES = "ValidatingAdmissionPolicy"
count = 0
# An object of each kind of the operator's.
foreign = {}


def objects_of(text):
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def rendered(chart, values, version):
    """As on a cluster of that version. The library renders for its own; so the version is put in where templates ask for it."""
    with tempfile.TemporaryDirectory() as name:
        own = pathlib.Path(shutil.copytree(chart, name + "/chart"))
        for template in own.glob("templates/*.yaml"):
            text = template.read_text()
            template.write_text(text.replace(".Capabilities.KubeVersion.Version", f'"v{version}"'))
        with helm.Chart.load(own) as loaded:
            texts = loaded.render(values, name="test", namespace=NAMESPACE)
    return [each for text in texts.values() for each in objects_of(text)]


def key(each):
    return each["kind"], each["metadata"]["name"]


def check(objects, version):
    global count
    for each in objects:
        if each["apiVersion"].startswith(FOREIGN):
            foreign[each["kind"]] = each
            count += 1
            if complaint := operator_models.violation(each):
                print(f"{version}: {key(each)}: {complaint}")
            continue
        try:
            kubernetes_validate.validate(each, version, strict=True)
            count += 1
        except kubernetes_validate.SchemaNotFoundError as error:
            print(f"{version}: {key(each)}: {error.message}")
        except kubernetes_validate.ValidationError as error:
            print(f"{version}: {key(each)}: {error.message}")


def policy_is_mounted(chart, version):
    """What only the chart has: the daemon's policy file."""
    text = '# All.\n[[grant]]\ngroups = [999]\nrole = "bypass"\n'
    objects = rendered(chart, {"daemon": {"enabled": True, "policy": text}}, version)
    check(objects, version)
    accounts = next(each for each in objects if each["kind"] == "ConfigMap")
    pod = next(each for each in objects if key(each) == ("DaemonSet", "bypassd"))["spec"]["template"]
    mounts = {mount["mountPath"]: mount.get("subPath") for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    if accounts["data"].get("bypassd.toml") != text or mounts.get("/etc/kmesh/bypassd.toml") != "bypassd.toml":
        print(f"the policy is not what the daemon reads: {accounts['data']}, {mounts}")


def operator_selects(chart, version):
    """What only the chart has: the labels by which the operator finds its objects."""
    values = {"monitoring": {"enabled": True, "labels": {"release": "kube-prometheus-stack"}}}
    objects = rendered(chart, values, version)
    check(objects, version)
    for each in objects:
        wanted = "kube-prometheus-stack" if each["apiVersion"].startswith(FOREIGN) else None
        if each["metadata"].get("labels", {}).get("release") != wanted:
            print(f"{key(each)} has the labels {each['metadata'].get('labels')}")


def wrong_values_are_refused(chart):
    """In place of a DaemonSet with root's rights that was not meant, or of a name without effect."""
    for values in [{"gid": 0}, {"gid": 2**31}, {"gid": "999"}, {"metrics": True}, {"nodeSelector": {"a": True}},
                   {"daemon": {"enabled": "false"}}, {"daemon": {"enable": True}}, {"controller": {"image": "a b"}},
                   {"monitoring": {"labels": {"a": 1}}}, {"controller": {"resources": {"memory": "1Gi"}}}]:
        if not any(message["severity"] > 1 for message in helm.lint(chart, values, namespace=NAMESPACE)["messages"]):
            print(f"wrong values are accepted: {values}")


def operator_is_strict():
    """That its objects were there, and that the models see what is wrong: a name that is not a field, and a wrong value."""
    if foreign.keys() != operator_models.MODELS.keys():
        print(f"of Prometheus' operator there were only {list(foreign)}")
        return
    for kind, path, last in [("PodMonitor", ["spec", "podMetricsEndpoints", 0], "port"),
                             ("PrometheusRule", ["spec", "groups", 0, "rules", 0], "expr")]:
        for change in [lambda part: part.update({last + "s": part.pop(last)}), lambda part: part.update({last: ["a"]})]:
            wrong = copy.deepcopy(foreign[kind])
            part = wrong
            for step in path:
                part = part[step]
            change(part)
            if not operator_models.violation(wrong):
                print(f"a wrong {kind} was accepted: {part}")


def main(chart):
    versions = [each for each in kubernetes_validate.utils.all_versions() if int(each.split(".")[1]) >= 27]
    versions = list(dict.fromkeys(versions))
    release = yaml.safe_load(pathlib.Path(chart, "Chart.yaml").read_text())["appVersion"]
    for line in sys.stdin:
        case = json.loads(line)
        # The chart is a release's; what was built for the tests is not.
        manifest = case["manifest"].replace(release + "-dev", release)
        plain, values = objects_of(manifest), case["values"]
        report = helm.lint(chart, values, strict=True, namespace=NAMESPACE)
        for message in report["messages"]:
            # Level 1 is advice: an icon.
            if message["severity"] > 1:
                print(f"lint {values}: {message}")
        answers = dry_run(manifest, plain)
        if len(answers) != len(plain) or not all(answer.endswith(" created (dry run)") for answer in answers):
            print(f"kubectl, {values}: {answers}")
        # Without the policies it is for clusters that do not have them yet.
        has_policies = any(each["kind"] == POLICIES for each in plain)
        for version in versions:
            is_new = int(version.split(".")[1]) >= 30
            objects = rendered(chart, values, version)
            if is_new or not has_policies:
                check(objects, version)
            if is_new == has_policies:
                # Those that are equal need no second look. Helm makes namespaces by itself (--create-namespace).
                check([each for each in plain if each["kind"] == "Namespace"], version)
                wanted = {key(each): each for each in plain if each["kind"] != "Namespace"}
                made = {key(each): each for each in objects}
                for name in sorted(wanted.keys() | made.keys()):
                    if wanted.get(name) != made.get(name):
                        print(f"{version}, {values}: {name}: {made.get(name)} is not {wanted.get(name)}")
    policy_is_mounted(chart, versions[-1])
    operator_selects(chart, versions[-1])
    wrong_values_are_refused(chart)
    operator_is_strict()
    print(count)


main(sys.argv[1])

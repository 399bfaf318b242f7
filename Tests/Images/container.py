"""A container of a pod, run by runc with what the pod's manifest gives it and nothing else: a kubelet in small."""
import json
import os
import pathlib
import shutil
import subprocess

SECCOMP = "/usr/share/containers/seccomp.json"
# What containerd calls the profile that it gives by default.
APPARMOR = "cri-containerd.apparmor.d"


def run(*command, check=True, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def runtime_default(capabilities):
    """The filter for system calls that container engines give: some calls depend on the capabilities."""
    profile = json.loads(pathlib.Path(SECCOMP).read_text())
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]

    def applies(rule):
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        return (
            machine in includes.get("arches", [machine]) and set(includes.get("caps", [])) <= set(capabilities)
            and not set(excludes.get("caps", [])) & set(capabilities))

    kept = ["names", "action", "args", "errnoRet"]
    return {
        "defaultAction": profile["defaultAction"], "defaultErrnoRet": profile["defaultErrnoRet"],
        "syscalls": [{key: rule[key] for key in kept if rule.get(key)} for rule in profile["syscalls"] if applies(rule)],
    }


def mount(path, source, *options, kind="bind"):
    return {"destination": path, "type": kind, "source": source, "options": list(options)}


class Container:
    """Made from an unpacked image (`umoci unpack`), a pod's spec, and the name of a container in it."""

    def __init__(self, bundle, pod, name, host, objects=(), arguments=None, node="node", cluster=None, has_apparmor=False,
                 id=None):
        """`host` maps folders of the node to those that stand for them here, `arguments` replaces the command's. The cluster
        gives the pod its network, its service account and the API server's address. The kernel may have AppArmor. `id` is in
        place of the name where that runs already."""
        self.bundle, self.pod, self.host, self.objects = pathlib.Path(bundle), pod, host, objects
        self.cluster = cluster
        self.id = f"kbt-{os.getpid()}-{id or name}"
        self.spec = next(each for each in pod["containers"] if each["name"] == name)
        image = json.loads((self.bundle / "config.json").read_text())
        context = {**pod.get("securityContext", {}), **self.spec.get("securityContext", {})}
        rights = context.get("capabilities", {})
        assert rights.get("drop") == ["ALL"] and not context.get("privileged"), "not what this was written for"
        capabilities = sorted("CAP_" + right for right in rights.get("add", []))
        user = image["process"]["user"]
        environment = image["process"]["env"] + [
            f"{each['name']}={each.get('value', node)}" for each in self.spec.get("env", [])]
        environment += [f"{key}={value}" for key, value in cluster.environment.items()] if cluster else []
        process = {
            "cwd": "/", "env": environment,
            "args": arguments or self.spec.get("command", []) + self.spec.get("args", []) or image["process"]["args"],
            "user": {
                "uid": context.get("runAsUser", user["uid"]), "gid": context.get("runAsGroup", user["gid"]),
                "additionalGids": context.get("supplementalGroups", []),
            },
            "capabilities": dict.fromkeys(["bounding", "effective", "permitted"], capabilities),
            "noNewPrivileges": not context.get("allowPrivilegeEscalation", True),
        }
        if has_apparmor and context.get("appArmorProfile", {"type": "RuntimeDefault"})["type"] == "RuntimeDefault":
            process["apparmorProfile"] = APPARMOR
        # A container has namespaces of its own but for those of the host's.
        namespaces = [{"type": kind} for kind in ["mount", "ipc"]]
        namespaces += [] if pod.get("hostPID") else [{"type": "pid"}]
        network = {"type": "network", "path": f"/run/netns/{cluster.network}"} if cluster else {"type": "network"}
        namespaces += [] if pod.get("hostNetwork") else [network, {"type": "uts"}]
        self.config = {
            "ociVersion": "1.0.2", "process": process, "mounts": list(self.mounts()),
            "root": {"path": "rootfs", "readonly": context.get("readOnlyRootFilesystem", False)},
            "linux": {
                "namespaces": namespaces, "cgroupsPath": f"/{self.id}",
                "seccomp": runtime_default(capabilities) if context["seccompProfile"]["type"] == "RuntimeDefault" else None,
                "resources": {"devices": [{"allow": False, "access": "rwm"}]},
                "maskedPaths": [
                    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            },
        }
        self.config["linux"] = {key: value for key, value in self.config["linux"].items() if value is not None}

    def mounts(self):
        safe = ["nosuid", "noexec", "nodev"]
        yield mount("/proc", "proc", *safe, kind="proc")
        yield mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k", kind="tmpfs")
        yield mount("/sys", "sysfs", *safe, "ro", kind="sysfs")
        if self.cluster and self.pod["automountServiceAccountToken"]:
            yield mount("/var/run/secrets/kubernetes.io/serviceaccount", str(self.cluster.account), "rbind", "ro")
        volumes = {volume["name"]: volume for volume in self.pod.get("volumes", [])}
        for each in self.spec.get("volumeMounts", []):
            volume = volumes[each["name"]]
            if "hostPath" in volume:
                source = self.host.get(volume["hostPath"]["path"], volume["hostPath"]["path"])
                kind = volume["hostPath"].get("type", "")
                assert os.path.isdir(source) if kind != "DirectoryOrCreate" else not os.makedirs(source, exist_ok=True)
            else:
                source = self.config_map(volume)
            if "subPath" in each:
                source += "/" + each["subPath"]
            yield mount(
                each["mountPath"], source, "rbind", "ro" if each.get("readOnly") else "rw",
                "rslave" if each.get("mountPropagation") == "HostToContainer" else "rprivate")

    def config_map(self, volume):
        folder = self.bundle / volume["name"]
        folder.mkdir(exist_ok=True)
        wanted = volume["configMap"]["name"]
        data = next(each["data"] for each in self.objects
                    if each["kind"] == "ConfigMap" and each["metadata"]["name"] == wanted)
        for key, text in data.items():
            (folder / key).write_text(text)
        return str(folder)

    def start(self):
        """In the background; the log goes to a file beside the image."""
        (self.bundle / "config.json").write_text(json.dumps(self.config))
        with open(self.bundle / "log", "ab") as log:
            subprocess.run(
                ["runc", "run", "--detach", "--bundle", self.bundle, self.id], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, check=True)

    def finish(self):
        """To its end, in the foreground."""
        (self.bundle / "config.json").write_text(json.dumps(self.config))
        return run("runc", "run", "--bundle", self.bundle, self.id, check=False)

    def is_ready(self):
        """As the kubelet asks."""
        return run("runc", "exec", self.id, *self.spec["readinessProbe"]["exec"]["command"], check=False).returncode == 0

    def stop(self, signal="TERM"):
        run("runc", "kill", self.id, signal, check=False)
        for _ in range(200):
            state = run("runc", "state", self.id, check=False)
            if state.returncode or json.loads(state.stdout)["status"] == "stopped":
                break
            subprocess.run(["sleep", "0.1"], check=True)
        run("runc", "delete", "--force", self.id, check=False)

    @property
    def process(self):
        return json.loads(run("runc", "state", self.id).stdout)["pid"]

    @property
    def log(self):
        return (self.bundle / "log").read_text()


def pod_of(objects, container):
    """The pod of a DaemonSet in the manifest."""
    for each in objects:
        if each["kind"] == "DaemonSet":
            pod = each["spec"]["template"]["spec"]
            if container in [one["name"] for one in pod["containers"]]:
                return pod
    raise SystemExit(f"the manifest has no container {container}")


def unpack(layout, tag, bundle):
    shutil.rmtree(bundle, ignore_errors=True)
    run("umoci", "unpack", "--image", f"{layout}:{tag}", bundle)
    return bundle

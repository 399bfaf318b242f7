/// The daemon as a DaemonSet, for clusters where nothing can be installed on nodes. Its rights are those of the unit in
/// systemd/, as far as a pod's manifest can say so; Tests/images.py runs it with just these.
struct DaemonManifest {
    let form: ManifestForm

    static let name = "kmesh-bypassd"

    /// Objects, in the order in which they can be made.
    var objects: [String] { [accounts, daemonSet] }

    private var labels: String {
        """
            app.kubernetes.io/name: \(Self.name)
            app.kubernetes.io/version: "\(form.version)"
        """
    }

    /// The group's number must be the one that the controller's pod has. The nodes need not know it.
    private var accounts: String {
        """
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: bypassd
          namespace: "\(form.namespace)"
          labels:
        \(labels)
        data:
          # The daemon's /etc/group: the socket belongs to the group kmesh.
          group: |
            root:x:0:
            kmesh:x:\(form.group):\(policy)

        """
    }

    private var policy: String {
        form.lines(
            ifValue: ".Values.daemon.policy",
            """
              bypassd.toml: |
                {{- .Values.daemon.policy | nindent 4 }}
            """)
    }

    private var daemonSet: String {
        """
        apiVersion: apps/v1
        kind: DaemonSet
        metadata:
          name: bypassd
          namespace: "\(form.namespace)"
          labels:
        \(labels)
        spec:
          selector:
            matchLabels:
              app.kubernetes.io/name: \(Self.name)
          # Bypasses outlive their daemon, but no client can change them until it is back.
          updateStrategy:
            type: RollingUpdate
            rollingUpdate:
              maxUnavailable: 10%
          template:
        \(podMetadata)
        \(podSpec)
        \(container)
        \(volumes)

        """
    }

    private var podMetadata: String {
        let checksum = form.lines(
            ifValue: ".Values.daemon.policy",
            """
                    # With another policy the pods are replaced.
                    kmesh.net/policy-checksum: "{{ .Values.daemon.policy | sha256sum }}"
            """)
        let unconfined = form.lines(
            from130: false, "        container.apparmor.security.beta.kubernetes.io/bypassd: unconfined")
        return """
                metadata:
                  labels:
            \(labels.indented(by: 4))
                    sidecar.istio.io/inject: "false"
                  annotations:
                    linkerd.io/inject: disabled\(checksum)\(unconfined)
            """
    }

    private var podSpec: String {
        """
            spec:
              # It finds a pod's network namespace by the pod's processes, and the host's by its own.
              hostPID: true
              hostNetwork: true
              automountServiceAccountToken: false
              # It answers what was begun for ten seconds.
              terminationGracePeriodSeconds: 15
              # Wanted most when a node is in trouble: on every node, tainted or full.
              priorityClassName: system-node-critical
              tolerations:
                - operator: Exists
              nodeSelector:
        \(form.nodeSelector)
              # A member of the group can give it the socket, without CAP_CHOWN.
              securityContext:
                supplementalGroups: [\(form.group)]
        """
    }

    private var container: String {
        let unconfined = form.lines(
            from130: true,
            """
                        appArmorProfile:
                          type: Unconfined
            """)
        return """
                  containers:
                    - name: bypassd
                      image: "\(form.daemonImage)"
                      command: [kmesh-bypassd]
                      # Root, but not privileged. kmesh-bypassd.service says why it needs each capability. SELinux's type for
                      # containers and AppArmor's profile for them hide the node's files and other pods' processes.
                      securityContext:
                        runAsUser: 0
                        readOnlyRootFilesystem: true
                        capabilities:
                          drop: [ALL]
                          add: [NET_ADMIN, NET_BROADCAST, SYS_ADMIN, BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH]
                        seccompProfile:
                          type: RuntimeDefault
                        seLinuxOptions:
                          type: spc_t\(unconfined)
            \(probe("liveness", periodSeconds: 20))
            \(probe("readiness", periodSeconds: 10))
                      resources:
            \(form.resources(of: "daemon", plain: ManifestDefaults.daemonResources))
                      terminationMessagePolicy: FallbackToLogsOnError
                      volumeMounts:
            """
    }

    private func probe(_ kind: String, periodSeconds: Int) -> String {
        """
                  \(kind)Probe:
                    exec:
                      command: [kmesh-bypassctl, info]
                    initialDelaySeconds: 5
                    periodSeconds: \(periodSeconds)
                    timeoutSeconds: 10
        """
    }

    private var volumes: String {
        let policy = form.lines(
            ifValue: ".Values.daemon.policy",
            """
                        - name: accounts
                          mountPath: /etc/kmesh/bypassd.toml
                          subPath: bypassd.toml
                          readOnly: true
            """)
        return """
                        # The socket and the records: on the node, so that a new daemon finds what the last one has left.
                        - name: run
                          mountPath: /run/kmesh
                        # The matcher and its map, likewise.
                        - name: bpf
                          mountPath: /sys/fs/bpf
                        # Namespaces that are made later are seen as well.
                        - name: netns
                          mountPath: /run/netns
                          mountPropagation: HostToContainer
                          readOnly: true
                        # Which processes are a pod's.
                        - name: cgroup
                          mountPath: /sys/fs/cgroup
                          mountPropagation: HostToContainer
                          readOnly: true
                        - name: accounts
                          mountPath: /etc/group
                          subPath: group
                          readOnly: true\(policy)
                  volumes:
                    - name: run
                      hostPath:
                        path: /run/kmesh
                        type: DirectoryOrCreate
                    - name: bpf
                      hostPath:
                        path: /sys/fs/bpf
                        type: Directory
                    - name: netns
                      hostPath:
                        path: /run/netns
                        type: DirectoryOrCreate
                    - name: cgroup
                      hostPath:
                        path: /sys/fs/cgroup
                        type: Directory
                    - name: accounts
                      configMap:
                        name: bypassd
            """
    }
}

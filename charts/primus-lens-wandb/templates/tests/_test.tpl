{{/* A pod of `helm test`: (dict "root" $ "name" "metrics" "arguments" list "account" ""). It stays if it fails. */}}
{{- define "primus-lens-wandb.test" -}}
{{- $root := .root -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "primus-lens-wandb.fullname" $root }}-test-{{ .name }}
  namespace: {{ include "primus-lens-wandb.namespace" $root | quote }}
  labels:
    {{- include "primus-lens-wandb.labels" (dict "root" $root "component" "test") | nindent 4 }}
    primus-lens.io/wandb: disabled
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  {{- include "primus-lens-wandb.imagePullSecrets" $root | nindent 2 | trimSuffix "  " | trimSuffix "\n" }}
  {{- with .account }}
  serviceAccountName: {{ . | quote }}
  {{- end }}
  automountServiceAccountToken: {{ not (empty .account) }}
  {{- with $root.Values.webhook.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.webhook.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true # as the user of the image, or of the cluster's choice (OpenShift)
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: test
      image: {{ include "primus-lens-wandb.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy | quote }}
      command:
        - python3
        - -I
        - -c
        - |
          {{- $root.Files.Get (printf "files/test_%s.py" .name) | nindent 10 }}
      args:
        {{- toYaml .arguments | nindent 8 }}
      {{- with $root.Values.tests.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
{{- end -}}

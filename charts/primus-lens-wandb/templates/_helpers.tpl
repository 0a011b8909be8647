{{/* Names. Nothing is longer than 63 characters: what would be is cut, and told apart by a hash. */}}

{{- define "primus-lens-wandb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* A name, short enough for the longest suffix of ours. */}}
{{- define "primus-lens-wandb.short" -}}
{{- if gt (len .) 45 -}}
{{- printf "%s-%s" (. | trunc 36 | trimSuffix "-") (sha256sum . | trunc 8) -}}
{{- else -}}
{{- . | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "primus-lens-wandb.fullname" -}}
{{- $name := include "primus-lens-wandb.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- include "primus-lens-wandb.short" .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- include "primus-lens-wandb.short" .Release.Name -}}
{{- else -}}
{{- include "primus-lens-wandb.short" (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- end -}}

{{- define "primus-lens-wandb.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* Of objects that are no namespace's: releases of one name in two namespaces do not meet. */}}
{{- define "primus-lens-wandb.clusterName" -}}
{{- $fullname := include "primus-lens-wandb.fullname" . -}}
{{- include "primus-lens-wandb.short" (printf "%s-%s" (include "primus-lens-wandb.namespace" .) $fullname) -}}
{{- end -}}

{{/* Labels. Those of a component are called with (dict "root" $ "component" "exporter"). */}}

{{- define "primus-lens-wandb.selector" -}}
app.kubernetes.io/name: {{ include "primus-lens-wandb.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "primus-lens-wandb.ownLabels" -}}
{{ include "primus-lens-wandb.selector" . }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: primus-lens
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "primus-lens-wandb.labels" -}}
{{- toYaml (merge (include "primus-lens-wandb.ownLabels" . | fromYaml) .root.Values.commonLabels) -}}
{{- end -}}

{{/*
Of pods. Ours say themselves that they are not to be injected: below Kubernetes 1.21 namespaces
lack the label by which the webhook's selector knows the release's own.
*/}}
{{- define "primus-lens-wandb.podLabels" -}}
{{- $own := merge (include "primus-lens-wandb.labels" . | fromYaml) (dict "primus-lens.io/wandb" "disabled") -}}
{{- toYaml (mergeOverwrite (deepCopy (index .root.Values .component).podLabels) $own) -}}
{{- end -}}

{{- define "primus-lens-wandb.image" -}}
{{- $image := .Values.image -}}
{{- $repository := $image.repository -}}
{{- with default $image.registry .Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . $repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "primus-lens-wandb.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "primus-lens-wandb.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "primus-lens-wandb.fullname" .root) .component) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{/* What every pod template of ours has at its beginning and its end. */}}
{{- define "primus-lens-wandb.podSettings" -}}
{{- $values := index .root.Values .component -}}
serviceAccountName: {{ include "primus-lens-wandb.serviceAccountName" . | quote }}
{{- include "primus-lens-wandb.imagePullSecrets" .root }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- if $values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- if $values.dnsPolicy }}
dnsPolicy: {{ $values.dnsPolicy | quote }}
{{- else if $values.hostNetwork }}
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- with $values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Behind passwords or client certificates a kubelet can only see whether the port is open. */}}
{{- define "primus-lens-wandb.probe" -}}
{{- if .open -}}
tcpSocket:
  port: metrics
{{- else -}}
httpGet:
  path: {{ .path | quote }}
  port: metrics
{{- end -}}
{{- end -}}

{{/* What cannot be: said here, once, in words. */}}
{{- define "primus-lens-wandb.check" -}}
{{- $certs := .Values.webhook.certs -}}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled -}}
{{- fail "podMonitor and serviceMonitor would scrape everything twice: enable one of them" -}}
{{- end -}}
{{- $webhook := .Values.webhook -}}
{{- if has (int $webhook.metricsPort) (list (int $webhook.port) 443) -}}
{{- fail (printf "webhook.metricsPort is %d, which is the port of the webhook itself or of its Service: take another one" (int $webhook.metricsPort)) -}}
{{- end -}}
{{- if and (eq .Values.records.type "persistentVolumeClaim") (not .Values.records.claimName) -}}
{{- fail "records.type is persistentVolumeClaim: name the claim in records.claimName" -}}
{{- end -}}
{{- if and (ne .Values.records.type "persistentVolumeClaim") .Values.records.claimName -}}
{{- fail (printf "records.claimName is given, but records.type is %s: set it to persistentVolumeClaim" .Values.records.type) -}}
{{- end -}}
{{- if eq $certs.mode "existing" -}}
{{- if not (and $certs.existingSecret $certs.caBundle) -}}
{{- fail "webhook.certs.mode is existing: give webhook.certs.existingSecret and webhook.certs.caBundle" -}}
{{- end -}}
{{- else if or $certs.existingSecret $certs.caBundle -}}
{{- fail (printf "webhook.certs.existingSecret and caBundle are given, but webhook.certs.mode is %s: one mode only" $certs.mode) -}}
{{- end -}}
{{- if and $certs.issuerRef (ne $certs.mode "certManager") -}}
{{- fail (printf "webhook.certs.issuerRef is given, but webhook.certs.mode is %s: one mode only" $certs.mode) -}}
{{- end -}}
{{- if and $certs.caSecretName (ne $certs.mode "selfManaged") -}}
{{- fail (printf "webhook.certs.caSecretName is given, but webhook.certs.mode is %s: one mode only" $certs.mode) -}}
{{- end -}}
{{- end -}}

{{/*
One for each mode of certificates: whoever writes the caBundle owns it, and Helm, taking it over,
would be refused. So a change of mode is another object, and the old one goes.
*/}}
{{- define "primus-lens-wandb.configurationName" -}}
{{- $ends := dict "selfManaged" "" "certManager" "-cert-manager" "existing" "-existing" -}}
{{- printf "%s%s" (include "primus-lens-wandb.clusterName" .) (get $ends .Values.webhook.certs.mode) -}}
{{- end -}}

{{- define "primus-lens-wandb.caSecretName" -}}
{{- default (printf "%s-webhook-ca" (include "primus-lens-wandb.fullname" .)) .Values.webhook.certs.caSecretName -}}
{{- end -}}

{{- define "primus-lens-wandb.certificateSecretName" -}}
{{- default (printf "%s-webhook-tls" (include "primus-lens-wandb.fullname" .)) .Values.webhook.certs.existingSecret -}}
{{- end -}}

{{- define "primus-lens-wandb.webhookArgs" -}}
{{- $webhook := .Values.webhook -}}
{{- $certs := $webhook.certs -}}
{{- $records := .Values.records -}}
{{- $namespace := include "primus-lens-wandb.namespace" . -}}
{{- $service := printf "%s-webhook.%s.svc" (include "primus-lens-wandb.fullname" .) $namespace -}}
- --webhook.listen-address=:{{ $webhook.port }}
- --web.listen-address=:{{ $webhook.metricsPort }}
{{- if eq $certs.mode "selfManaged" }}
- --certificate.names={{ $service }}
- --certificate.secret-namespace={{ $namespace }}
- --certificate.secret-name={{ include "primus-lens-wandb.caSecretName" . }}
- --certificate.webhook-configuration={{ include "primus-lens-wandb.configurationName" . }}
{{- else }}
- --certificate.directory=/etc/primus-lens/certificate
{{- end }}
- --inject.image-pull-policy={{ .Values.image.pullPolicy }}
{{- range .Values.injection.imagePullSecrets }}
- --inject.image-pull-secrets={{ .name }}
{{- end }}
- --inject.python-env={{ .Values.injection.pythonEnv }}
- --inject.ranks={{ int64 .Values.injection.ranks }}
{{- if .Values.injection.systemMetrics }}
- --inject.system-metrics
{{- end }}
- --inject.volume-mode={{ $records.type }}
{{- if eq $records.type "persistentVolumeClaim" }}
- --inject.claim-name={{ $records.claimName }}
{{- else if eq $records.type "hostPath" }}
- --inject.host-path={{ $records.hostPath }}
{{- end }}
- --inject.records-size={{ $records.sizeLimit }}
- --log.level={{ $webhook.logLevel }}
- --log.format={{ $webhook.logFormat }}
{{- end -}}

{{/* Where the alerts' runbooks are; empty where it is not known, as in a chart of the sources. */}}
{{- define "primus-lens-wandb.runbooks" -}}
{{- if .Values.rules.runbookUrl -}}
{{- trimSuffix "/" .Values.rules.runbookUrl -}}
{{- else if .Chart.Home -}}
{{- printf "%s/blob/v%s/docs/runbooks" .Chart.Home .Chart.Version -}}
{{- end -}}
{{- end -}}

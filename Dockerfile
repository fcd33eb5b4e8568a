# Two images from one build: docker build --target api . and --target worker .
# Each holds one static program, the certificates of public authorities and a
# wget for health checks; there is no shell in it and nothing runs as root.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ENV CGO_ENABLED=0
RUN go build -trimpath -buildvcs=false -ldflags='-s -w' -o /out/ ./cmd/api ./cmd/worker

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# Busybox under this name is wget and nothing else.
COPY --from=busybox:1.37.0-musl /bin/busybox /bin/wget
USER 65532:65532

FROM base AS api
COPY --from=build /out/api /api
EXPOSE 8080
ENTRYPOINT ["/api"]

FROM base AS worker
COPY --from=build /out/worker /worker
EXPOSE 8081
ENTRYPOINT ["/worker"]

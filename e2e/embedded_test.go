package e2e

import (
	"net/http"
	"testing"
	"time"
)

// Invariant 1 for the embedded process: killed and started again on its data.
func TestInvariant1KilledEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/faults.json", slow)
	write(t, dir+"/penstock.yaml", `
providers: {sim: {type: simulated, faults: `+dir+`/faults.json, concurrency: 20}}
routes: {default: {targets: [sim/sim-1]}}
`)
	addr := freeAddr(t)
	f := &fleet{t: t, apis: []*node{{addr: addr}}, client: &http.Client{Timeout: 10 * time.Second}}
	t.Cleanup(f.client.CloseIdleConnections)
	env := []string{
		"PENSTOCK_CONFIG=" + dir + "/penstock.yaml", "PENSTOCK_DATA_DIR=" + dir + "/data", "PENSTOCK_ADDR=" + addr,
	}
	first := start(t, env, "api", "-embedded")
	ready(t, addr)
	ids := f.submitAll(200)
	eventually(t, 20*time.Second, "some answers", func() bool {
		j, err := f.do(http.MethodGet, "/v1/jobs/"+ids[40], "")
		return err == nil && j.done()
	})
	first.kill()
	start(t, env, "api", "-embedded")
	ready(t, addr)
	f.allSucceeded(ids)
}

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// submission is a job that a client wants.
type submission struct {
	key, tenant, body string
	noDedupe          bool
	// cancelAfter is when the client changes its mind; zero: never.
	cancelAfter time.Duration
}

// draw makes the next submissions: equal and distinct prompts of several
// tenants, priorities, deadlines, and some that will be cancelled.
func (c *traffic) draw(n int) []submission {
	all := make([]submission, n)
	for i := range all {
		all[i] = c.drawOne()
	}
	return all
}

func (c *traffic) drawOne() submission {
	c.turn++
	pick := func(of ...string) string { return of[c.rand.IntN(len(of))] }
	chance := func(p float64) bool { return c.rand.Float64() < p }
	s := submission{key: "key-" + strconv.Itoa(c.turn), tenant: pick("acme", "acme", "acme", "beta", "core", "dune")}
	content := prompt + "no. " + strconv.Itoa(c.turn)
	if chance(0.2) {
		content = prompt + "that is everybody's, " + strconv.Itoa(c.rand.IntN(12))
	}
	fields := []string{fmt.Sprintf(`"priority":%q`, pick("high", "normal", "normal", "normal", "low"))}
	if chance(0.03) {
		s.noDedupe = true
		fields = append(fields, `"dedupe":false`)
	}
	if chance(0.03) {
		fields = append(fields, `"cache":{"max_age":"1h"}`)
	}
	if chance(0.08) {
		fields = append(fields, fmt.Sprintf(`"timeout":"%dms"`, 3000+int(c.hurry*c.rand.Float64()*40_000)))
	}
	if chance(0.05) {
		s.cancelAfter = 1 + time.Duration(c.hurry*c.rand.Float64()*float64(20*time.Second))
	}
	s.body = fmt.Sprintf(`{"request":{"model":"default","messages":[{"role":"user","content":%q}],"max_tokens":8},%s}`,
		content, strings.Join(fields, ","))
	return s
}

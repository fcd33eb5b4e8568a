package history

// oneEventEach is invariant 4: each terminal job has exactly one event, of its
// status and tenant, and nothing else has any.
func (x *index) oneEventEach() {
	events := map[string][]Event{}
	for _, e := range x.Events {
		events[e.Job] = append(events[e.Job], e)
		if _, ok := x.jobs[e.Job]; !ok {
			x.broken(4, "an event tells of job %s, which is not there", e.Job)
		}
	}
	for _, j := range x.Jobs {
		got := events[j.ID]
		switch {
		case !terminal(j.Status) && len(got) > 0:
			x.broken(4, "job %s has not ended and has event %s", j.ID, got[0].Type)
		case !terminal(j.Status):
		case len(got) != 1:
			x.broken(4, "job %s is %s and has %d events", j.ID, j.Status, len(got))
		case got[0].Type != "job."+j.Status || got[0].Tenant != j.Tenant:
			x.broken(4, "job %s of %s is %s, its event %s of %s", j.ID, j.Tenant, j.Status, got[0].Type, got[0].Tenant)
		}
	}
}

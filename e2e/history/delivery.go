package history

// eventsAreDelivered is invariant 4 where receivers are: each event reached its
// tenant's at least once, nobody else's, and no id came with two bodies.
func (x *index) eventsAreDelivered() {
	bodies, told := map[string]string{}, map[string]bool{}
	for _, d := range x.Deliveries {
		if body, ok := bodies[d.ID]; ok && body != d.Body {
			x.broken(4, "webhook-id %s came with two bodies", d.ID)
		}
		bodies[d.ID], told[d.Job] = d.Body, true
		j, ok := x.jobs[d.Job]
		switch {
		case !ok:
			x.broken(4, "a webhook tells of job %s, which is not there", d.Job)
		case j.Tenant != d.Tenant:
			x.broken(9, "a webhook told %s of job %s, which is %s's", d.Tenant, j.ID, j.Tenant)
		case d.Type != "job."+j.Status:
			x.broken(4, "job %s is %s, and a webhook told of %s", j.ID, j.Status, d.Type)
		}
	}
	for _, j := range x.Jobs {
		if x.Hooked[j.Tenant] && terminal(j.Status) && !told[j.ID] {
			x.broken(4, "job %s is %s, and no webhook told of it", j.ID, j.Status)
		}
	}
}

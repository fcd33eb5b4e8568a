package history

// eventsAreDelivered is invariant 4 where receivers are: each event reached its
// tenant's at least once, nobody else's, and no id came with two bodies. Of a line of a
// batch nobody is told.
func (x *index) eventsAreDelivered() {
	bodies, told := map[string]string{}, map[string]bool{}
	for _, d := range x.Deliveries {
		if body, ok := bodies[d.ID]; ok && body != d.Body {
			x.broken(4, "webhook-id %s came with two bodies", d.ID)
		}
		bodies[d.ID] = d.Body
		if d.Batch != "" {
			continue
		}
		told[d.Job] = true
		j, ok := x.jobs[d.Job]
		switch {
		case !ok:
			x.broken(4, "a webhook tells of job %s, which is not there", d.Job)
		case j.Tenant != d.Tenant:
			x.broken(9, "a webhook told %s of job %s, which is %s's", d.Tenant, j.ID, j.Tenant)
		case j.Batch != "":
			x.broken(4, "a webhook told of job %s, which is a line of batch %s", j.ID, j.Batch)
		case d.Type != "job."+j.Status:
			x.broken(4, "job %s is %s, and a webhook told of %s", j.ID, j.Status, d.Type)
		}
	}
	for _, j := range x.Jobs {
		if x.Hooked[j.Tenant] && terminal(j.Status) && j.Batch == "" && !told[j.ID] {
			x.broken(4, "job %s is %s, and no webhook told of it", j.ID, j.Status)
		}
	}
}

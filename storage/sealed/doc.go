// Package sealed keeps what tenants sent and were answered unreadable at rest.
//
// [Store] stands before any store. It seals payloads on their way in and opens
// them on their way out: requests, results, messages of failures, and partial
// answers. What jobs are found by stays in plain: tenant, model, metadata, user,
// hash, times, usage.
//
// Payloads are sealed with AES-256-GCM under a data key of the tenant; data keys
// are kept beside the jobs, wrapped under a secret that only the processes know
// (envelope encryption). Erasing a tenant's data keys makes unreadable, at once
// and in every copy of the database from then on, all that was sealed with them.
package sealed

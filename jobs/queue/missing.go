package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
)

// missingChunk bounds how long one script holds Redis up.
const missingChunk = 500

// missingScript finds the tasks of one queue that nobody will be handed, and
// deletes what is left of them.
//
// A task is there if its hash is, with a message, and the list or set of its
// state holds its id. An active one also needs a lease that has not ended:
// one that has is with a worker that is dead, or cut off for so long that its
// claim will come too late.
//
// KEYS[1..7] listKeys of the queue, in that order; KEYS[8...] task hashes.
// ARGV[1] now, Unix seconds; ARGV[2...] the tasks' ids, in the same order.
// Returns the positions, counted from 0, of those that are missing.
// Atomic for all of the tasks: none moves between the look at its state and
// the look at that state's list.
var missingScript = redis.NewScript(`
local sets = {}
local function lists(key, id)
  if not sets[key] then
    sets[key] = {}
    for _, member in ipairs(redis.call("LRANGE", key, 0, -1)) do sets[key][member] = true end
  end
  return sets[key][id]
end

local function there(key, id)
  local fields = redis.call("HMGET", key, "msg", "state")
  local msg, state = fields[1], fields[2]
  if not msg then return false end
  if state == "pending" then return lists(KEYS[1], id) end
  if state == "active" then
    local lease = redis.call("ZSCORE", KEYS[3], id)
    return lease and tonumber(lease) > tonumber(ARGV[1]) and lists(KEYS[2], id)
  end
  if state == "scheduled" then return redis.call("ZSCORE", KEYS[4], id) end
  if state == "retry" then return redis.call("ZSCORE", KEYS[5], id) end
  return false
end

local missing = {}
for i = 2, #ARGV do
  local id, key = ARGV[i], KEYS[6 + i]
  if not there(key, id) then
    missing[#missing + 1] = i - 2
    redis.call("DEL", key)
    for list = 1, 2 do
      if lists(KEYS[list], id) then redis.call("LREM", KEYS[list], 0, id) end
    end
    for set = 3, 7 do redis.call("ZREM", KEYS[set], id) end
  end
end
return missing
`)

// Missing implements [jobs.Queue]. What is left in Redis of a task that is
// missing is deleted. Ask it of tasks that nobody has claimed: a claimed one
// is missing as soon as its worker has lost touch with Redis.
func (q *Queue) Missing(ctx context.Context, tasks []jobs.Task) ([]jobs.Task, error) {
	byQueue := make(map[string][]jobs.Task)
	for _, t := range tasks {
		name := queueName(t.Provider, t.Priority)
		byQueue[name] = append(byQueue[name], t)
	}
	var missing []jobs.Task
	for name, tasks := range byQueue {
		for chunk := range slices.Chunk(tasks, missingChunk) {
			some, err := q.missingFrom(ctx, name, chunk)
			if err != nil {
				return nil, fmt.Errorf("look for %d tasks in queue %s: %w", len(tasks), name, err)
			}
			missing = append(missing, some...)
		}
	}
	return missing, nil
}

func (q *Queue) missingFrom(ctx context.Context, queue string, tasks []jobs.Task) ([]jobs.Task, error) {
	keys, args := listKeys(queue), []any{time.Now().Unix()}
	for _, t := range tasks {
		keys = append(keys, taskKey(queue, taskID(t)))
		args = append(args, taskID(t))
	}
	positions, err := missingScript.Run(ctx, q.client, keys, args...).Int64Slice()
	if err != nil {
		return nil, err
	}
	missing := make([]jobs.Task, len(positions))
	for i, position := range positions {
		missing[i] = tasks[position]
	}
	return missing, nil
}

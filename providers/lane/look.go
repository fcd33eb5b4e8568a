package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// fields are a hash as Redis has it.
type fields map[string]string

// int returns a field; zero when it is not there.
func (f fields) int(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64) // what is no number is none
	return n
}

// view is what lookScript tells of a lane.
type view struct {
	lane Lane
	// now is Redis' clock, in µs.
	now int64
	// pool and own are the hashes of the pool and the lane; window the outcomes of
	// the last minute.
	pool, own, window fields
	// inPool and inLane count the permits.
	inPool, inLane int64
}

func (v view) built() bool { return v.pool[builtField] != "" && v.own[builtField] != "" }

// until returns how long it is until the time in a field.
func (v view) until(f fields, name string) time.Duration {
	return max(time.Duration(f.int(name)-v.now)*time.Microsecond, 0)
}

// look reads lanes in one round trip, and those that Redis has lost once more
// after they were rebuilt. The views are in the order of the lanes. One that could
// not be rebuilt is not built; then the error says why, and the others are good.
func (l *Lanes) look(ctx context.Context, lanes []Lane) ([]view, error) {
	views, err := l.lookOnce(ctx, lanes)
	if err != nil {
		return nil, err
	}
	var lost []Lane
	for _, v := range views {
		if !v.built() {
			lost = append(lost, v.lane)
		}
	}
	if len(lost) == 0 {
		return views, nil
	}
	errRebuild := l.rebuildAll(ctx, lost)
	views, err = l.lookOnce(ctx, lanes)
	return views, errors.Join(errRebuild, err)
}

// rebuildsAtOnce bounds how many lanes ask the store at once.
const rebuildsAtOnce = 8

// rebuildAll rebuilds lanes side by side. They fail each for itself.
func (l *Lanes) rebuildAll(ctx context.Context, lanes []Lane) error {
	errs := make([]error, len(lanes))
	slots := make(chan struct{}, rebuildsAtOnce)
	var all sync.WaitGroup
	for i, lane := range lanes {
		slots <- struct{}{}
		all.Go(func() {
			errs[i] = l.rebuild(ctx, lane)
			<-slots
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (l *Lanes) lookOnce(ctx context.Context, lanes []Lane) ([]view, error) {
	byPool := make(map[string][]int)
	for i, lane := range lanes {
		byPool[lane.Pool] = append(byPool[lane.Pool], i)
	}
	views, pools := make([]view, len(lanes)), make([]string, 0, len(byPool))
	var answers []*redis.Cmd
	err := l.pipelined(ctx, lookScript, func(run func(keys []string, args ...any) *redis.Cmd) {
		pools, answers = pools[:0], answers[:0]
		for pool, indexes := range byPool {
			keys := []string{poolKey(pool), permitsKey(pool)}
			for _, i := range indexes {
				keys = append(keys, laneKey(lanes[i]), lanePermitsKey(lanes[i]), windowKey(lanes[i]))
			}
			pools, answers = append(pools, pool), append(answers, run(keys))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("look at lanes: %w", err)
	}
	for n, pool := range pools {
		parts, err := answers[n].Slice()
		if err != nil || len(parts) != len(byPool[pool])+1 {
			return nil, errors.Join(errAnswer, err)
		}
		for k, i := range byPool[pool] {
			if views[i], err = readView(lanes[i], parts[0], parts[k+1]); err != nil {
				return nil, err
			}
		}
	}
	return views, nil
}

// readView reads what lookScript tells of a pool and one of its lanes.
func readView(lane Lane, pool, own any) (view, error) {
	p, okPool := pool.([]any)
	o, okOwn := own.([]any)
	if !okPool || !okOwn || len(p) != 3 || len(o) != 3 {
		return view{}, errAnswer
	}
	now, err := strconv.ParseInt(fmt.Sprint(p[0]), 10, 64)
	inPool, okPool := p[1].(int64)
	inLane, okOwn := o[0].(int64)
	if err != nil || !okPool || !okOwn {
		return view{}, errAnswer
	}
	return view{
		lane: lane, now: now, pool: readFields(p[2]), own: readFields(o[1]), window: readFields(o[2]),
		inPool: inPool, inLane: inLane,
	}, nil
}

func readFields(flat any) fields {
	list, _ := flat.([]any) // no list is an empty one
	f := make(fields, len(list)/2)
	for pair := range slices.Chunk(list, 2) {
		if len(pair) == 2 {
			f[fmt.Sprint(pair[0])] = fmt.Sprint(pair[1])
		}
	}
	return f
}

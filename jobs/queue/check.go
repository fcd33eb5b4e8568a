package queue

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The oldest Redis that has all commands asynq uses.
const (
	oldestMajor = 6
	oldestMinor = 2
)

// Check asks the server, or one of a cluster, what it is. It fails when the
// server does not answer or is older than 6.2. A warning, if not empty, is for
// the operator: Redis works, but not as it should.
func Check(ctx context.Context, client redis.UniversalClient) (warning string, err error) {
	info, err := client.Info(ctx).Result()
	if err != nil {
		return "", fmt.Errorf("ask Redis for its version: %w", err)
	}
	fields := parseInfo(info)
	if version := fields["redis_version"]; tooOld(version) {
		return "", fmt.Errorf("redis is version %s, want %d.%d or later", version, oldestMajor, oldestMinor)
	}
	return policyWarning(fields["maxmemory_policy"]), nil
}

// tooOld reports whether version is one that is known to be too old. What
// cannot be read passes: compatible servers have versions of their own.
func tooOld(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return false
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil {
		return false
	}
	return major < oldestMajor || major == oldestMajor && minor < oldestMinor
}

// policyWarning says what is wrong with a maxmemory-policy. A server that does
// not tell its policy cannot be judged.
func policyWarning(policy string) string {
	if policy == "" || policy == "noeviction" {
		return ""
	}
	return fmt.Sprintf("Redis may evict keys (maxmemory-policy is %s): "+
		"tasks will be lost and found again seconds later; set it to noeviction", policy)
}

// parseInfo reads the lines "name:value" of INFO's answer.
func parseInfo(info string) map[string]string {
	fields := make(map[string]string)
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

package queue

import "testing"

func TestTooOld(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"5.0.14": true, "6.0.16": true, "6.2.0": false, "6.10.1": false, "7.0.15": false, "8.2": false,
		"": false, "unstable": false, "x.y.z": false, "255.255.255": false,
	} {
		if got := tooOld(version); got != want {
			t.Errorf("tooOld(%q) = %v, want %v", version, got, want)
		}
	}
}

func TestParseInfo(t *testing.T) {
	t.Parallel()
	fields := parseInfo("# Server\r\nredis_version:6.0.1\r\n\r\n# Memory\r\nmaxmemory_policy:volatile-lru\r\n")
	if fields["redis_version"] != "6.0.1" || fields["maxmemory_policy"] != "volatile-lru" {
		t.Errorf("parseInfo() = %q", fields)
	}
}

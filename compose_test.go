// Package penstock_test checks the files at the root of the project that no
// other package owns.
package penstock_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/penstock-dev/penstock/internal/app"
)

// environmentKeys are all the variables the two programs know (DESIGN: the
// names are part of what an operator relies on).
var environmentKeys = []string{
	"PENSTOCK_ADDR", "PENSTOCK_WORKER_ADDR", "PENSTOCK_DATABASE_URL", "PENSTOCK_REDIS_URL", "PENSTOCK_CONFIG",
	"PENSTOCK_DATA_DIR", "PENSTOCK_PUBLIC_URL", "PENSTOCK_SECRET_KEY", "PENSTOCK_BOOTSTRAP_KEY", "PENSTOCK_LOG",
}

func TestComposeHasTheFourServices(t *testing.T) {
	t.Parallel()
	project := load(t, "docker-compose.yml")
	if got, want := project.ServiceNames(), []string{"api", "postgres", "redis", "worker"}; !slices.Equal(got, want) {
		t.Fatalf("services: got %v, want %v", got, want)
	}
	for name, service := range project.Services {
		if service.HealthCheck == nil || service.HealthCheck.Disable || len(service.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		if service.Restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s: restart %q, want %q", name, service.Restart, types.RestartPolicyUnlessStopped)
		}
	}
}

func TestComposeImagesArePinned(t *testing.T) {
	t.Parallel()
	exact := regexp.MustCompile(`^[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+$`)
	for name, service := range load(t, "docker-compose.yml").Services {
		if service.Build == nil && !exact.MatchString(service.Image) {
			t.Errorf("%s: image %q is not pinned to a version and a distribution", name, service.Image)
		}
	}
}

func TestComposeRedisKeepsItsLogAndEvictsNothing(t *testing.T) {
	t.Parallel()
	command := strings.Join(load(t, "docker-compose.yml").Services["redis"].Command, " ")
	for _, flag := range []string{"--appendonly yes", "--maxmemory-policy noeviction"} {
		if !strings.Contains(command, flag) {
			t.Errorf("redis runs %q, want %q in it", command, flag)
		}
	}
}

func TestComposeDataOutlivesContainers(t *testing.T) {
	t.Parallel()
	project := load(t, "docker-compose.yml")
	for service, folder := range map[string]string{"redis": "/data", "postgres": "/var/lib/postgresql/data"} {
		volumes := project.Services[service].Volumes
		if len(volumes) != 1 || volumes[0].Type != types.VolumeTypeVolume || volumes[0].Target != folder {
			t.Errorf("%s: volumes %+v, want one named volume at %s", service, volumes, folder)
			continue
		}
		if _, ok := project.Volumes[volumes[0].Source]; !ok {
			t.Errorf("%s: volume %q is not declared", service, volumes[0].Source)
		}
	}
}

func TestComposeProgramsWaitForHealthyStores(t *testing.T) {
	t.Parallel()
	project := load(t, "docker-compose.yml")
	for _, program := range []string{"api", "worker"} {
		for _, store := range []string{"postgres", "redis"} {
			got := project.Services[program].DependsOn[store].Condition
			if got != types.ServiceConditionHealthy {
				t.Errorf("%s waits for %s: got condition %q, want %q", program, store, got, types.ServiceConditionHealthy)
			}
		}
	}
}

// The programs themselves read the environment, and the configuration file that
// the compose file mounts.
func TestComposeConfiguresThePrograms(t *testing.T) {
	t.Parallel()
	project := load(t, "docker-compose.yml")
	for program, role := range map[string]app.Role{"api": app.RoleAPI, "worker": app.RoleWorker} {
		service := project.Services[program]
		for key := range service.Environment {
			if !slices.Contains(environmentKeys, key) {
				t.Errorf("%s: %s is not a variable of the programs", program, key)
			}
		}
		config, err := app.LoadConfig(role, func(key string) string {
			value := service.Environment[key]
			if value == nil {
				return ""
			}
			return onThisSide(service.Volumes, *value)
		})
		if err != nil {
			t.Errorf("%s: %v", program, err)
		}
		if !strings.Contains(config.DatabaseURL, "@postgres:5432/penstock") || config.RedisURL != "redis://redis:6379/0" {
			t.Errorf("%s: stores %s and %s, want those of the services", program, config.DatabaseURL, config.RedisURL)
		}
		if grace := service.StopGracePeriod; grace == nil || program == "worker" && time.Duration(*grace) <= config.File.DrainTimeout {
			t.Errorf("%s: stop_grace_period %v, want more than the drain's %s", program, grace, config.File.DrainTimeout)
		}
	}
}

// onThisSide returns the file on this machine that a container has at path, or
// path if none is mounted there.
func onThisSide(volumes []types.ServiceVolumeConfig, path string) string {
	for _, volume := range volumes {
		if volume.Target == path {
			return volume.Source
		}
	}
	return path
}

// What listens must be what is asked for health and what is published, and only
// on the loopback interface of the machine.
func TestComposePorts(t *testing.T) {
	t.Parallel()
	project := load(t, "docker-compose.yml")
	for program, key := range map[string]string{"api": "PENSTOCK_ADDR", "worker": "PENSTOCK_WORKER_ADDR"} {
		service := project.Services[program]
		port := strings.TrimPrefix(*service.Environment[key], "0.0.0.0:")
		if probe := strings.Join(service.HealthCheck.Test, " "); !strings.HasSuffix(probe, "http://127.0.0.1:"+port+"/readyz") {
			t.Errorf("%s: health check %q does not ask port %s for /readyz", program, probe, port)
		}
	}
	for name, service := range project.Services {
		for _, published := range service.Ports {
			if published.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to other machines", name, published.Published)
			}
		}
	}
}

func TestComposeBuildsWhatTheDockerfileHas(t *testing.T) {
	t.Parallel()
	dockerfile := read(t, "Dockerfile")
	project := load(t, "docker-compose.yml")
	for _, program := range []string{"api", "worker"} {
		service := project.Services[program]
		if service.Build == nil || service.Build.Target != program {
			t.Fatalf("%s is not built from the target of its name", program)
		}
		for _, line := range []string{
			"FROM base AS " + program + "\n",
			"COPY --from=build /out/" + program + " /" + program + "\n",
			`ENTRYPOINT ["/` + program + `"]` + "\n",
		} {
			if !strings.Contains(dockerfile, line) {
				t.Errorf("Dockerfile has no line %q", line)
			}
		}
		for _, volume := range service.Volumes {
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s mounts what is not there: %v", program, err)
			}
		}
	}
	for _, line := range []string{"ENV CGO_ENABLED=0\n", "FROM scratch AS base\n", "USER 65532:65532\n"} {
		if !strings.Contains(dockerfile, line) {
			t.Errorf("Dockerfile has no line %q", line)
		}
	}
	if strings.Contains(dockerfile, ":latest") {
		t.Error("Dockerfile uses an image that is not pinned")
	}
}

func TestComposeForTestsRunsTheScriptItIsCalledFrom(t *testing.T) {
	t.Parallel()
	service := load(t, "scripts/compose.test.yml").Services["test"]
	if got, want := strings.Join(service.Entrypoint, " "), "/src/scripts/with-servers.sh"; got != want {
		t.Errorf("entry point: got %q, want %q", got, want)
	}
	if len(service.Volumes) == 0 || service.Volumes[0].Target != "/src" {
		t.Errorf("volumes %+v, want the project at /src first", service.Volumes)
	}
}

// load reads a compose file as docker compose does, with an empty environment.
func load(t *testing.T, path string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{path}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return project
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

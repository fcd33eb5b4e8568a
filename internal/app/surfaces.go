package app

import (
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/internal/surface/anthropic"
	"github.com/penstock-dev/penstock/internal/surface/openai"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/live"
)

// SurfacesConfig says which APIs there are beside Penstock's own.
type SurfacesConfig struct {
	// OpenAI is for clients of OpenAI's; absent: true.
	OpenAI *bool `yaml:"openai"`
	// Anthropic is for clients of Anthropic's; absent: true.
	Anthropic *bool `yaml:"anthropic"`
}

func enabled(b *bool) bool { return b == nil || *b }

// surfaces makes those that are switched on.
func (p *parts) surfaces(c Config, catalog *jobs.Catalog) (all []surface.Surface) {
	follower := live.NewFollower(p.service, p.hub)
	if enabled(c.File.Surfaces.OpenAI) {
		cfg := openai.Config{Jobs: p.service, Follower: follower, Catalog: catalog}
		if p.files != nil && p.batches.service != nil {
			cfg.Files, cfg.Batches = p.files, p.batches.service
		}
		all = append(all, openai.New(cfg))
	}
	if enabled(c.File.Surfaces.Anthropic) {
		cfg := anthropic.Config{Jobs: p.service, Follower: follower, InputTokens: roughInput}
		if !c.publicByDefault {
			cfg.PublicURL = c.PublicURL
		}
		if p.batches.service != nil {
			cfg.Batches, cfg.Files = p.batches.service, p.files
		}
		all = append(all, anthropic.New(cfg))
	}
	return all
}

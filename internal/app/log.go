package app

import (
	"io"
	"time"

	"github.com/rs/zerolog"
)

func newLogger(c Config, w io.Writer) zerolog.Logger {
	if c.LogConsole {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: true}
	}
	return zerolog.New(w).Level(c.LogLevel).With().Timestamp().Logger()
}

package courier

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// mailbox is where a turn is told what it must know. Nobody waits to tell it.
type mailbox struct {
	mu      sync.Mutex
	letters letters
	full    bool
	// poke has something in it when there is mail.
	poke chan struct{}
}

// letters are what came since the turn looked last.
type letters struct {
	// held is the newest lease; lost says that there is none any more.
	held *held
	lost bool
	// ended are attempts, and recorded deliveries of which one has been recorded.
	ended    []ended
	recorded []recorded
	page     *page
	saved    *saved
	granted  []*slot
	// due says that there may be something due.
	due bool
	// changed is when what had been read may have ceased to hold; zero: it has not.
	changed time.Time
	// stop ends the turn in good order, quit at once.
	stop, quit bool
}

// recorded is a delivery of which an attempt has been recorded, and when it is due again;
// zero: never.
type recorded struct {
	delivery uuid.UUID
	due      time.Time
}

func newMailbox() *mailbox { return &mailbox{poke: make(chan struct{}, 1)} }

// post writes to the turn.
func (m *mailbox) post(write func(*letters)) {
	m.mu.Lock()
	write(&m.letters)
	m.full = true
	m.mu.Unlock()
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// take returns what came.
func (m *mailbox) take() letters {
	m.mu.Lock()
	defer m.mu.Unlock()
	came := m.letters
	m.letters, m.full = letters{}, false
	return came
}

func (m *mailbox) empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.full
}

package simulated

import (
	"encoding/json"
	"net/http"

	"github.com/penstock-dev/penstock/providers"
)

// maxFaultBytes bounds the body of PUT /faults.
const maxFaultBytes = 1 << 20

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("POST "+providers.ChatCompletions, s.call(&openAI, s.chat))
	s.mux.HandleFunc("POST "+providers.Embeddings, s.call(&openAI, s.embeddings))
	s.mux.HandleFunc("POST "+providers.Responses, s.call(&openAI, s.responses))
	s.mux.HandleFunc("POST "+providers.Messages, s.call(&messages, s.messages))
	s.mux.HandleFunc("POST "+generatePath, s.generates())
	s.mux.HandleFunc("GET /faults", s.getFaults)
	s.mux.HandleFunc("PUT /faults", s.putFaults)
	s.mux.HandleFunc("GET /calls", s.listCalls)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "", "invalid_request_error", "no such address: "+r.Method+" "+r.URL.Path)
	})
}

// SetFaults changes how the server behaves from the next call on.
func (s *Server) SetFaults(faults Faults) error {
	if err := faults.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults.clone()
	if !s.limiter.same(faults) {
		s.limiter = newLimiter(faults)
	}
	return nil
}

// Faults returns how the server behaves now.
func (s *Server) Faults() Faults {
	faults, _ := s.current()
	return faults
}

func (s *Server) current() (Faults, *limiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults, s.limiter
}

func (s *Server) getFaults(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Faults())
}

func (s *Server) putFaults(w http.ResponseWriter, r *http.Request) {
	faults, err := ParseFaults(http.MaxBytesReader(w, r.Body, maxFaultBytes))
	if err == nil {
		err = s.SetFaults(faults)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, "invalid_field", "invalid_request_error", err.Error())
		return
	}
	writeJSON(w, http.StatusOK, s.Faults())
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "the answer cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// errorObject is an error in OpenAI's words, all four members present.
func errorObject(code, kind, message string) map[string]any {
	var codeOrNull any
	if code != "" {
		codeOrNull = code
	}
	return map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": codeOrNull}}
}

func writeError(w http.ResponseWriter, status int, code, kind, message string) {
	writeJSON(w, status, errorObject(code, kind, message))
}

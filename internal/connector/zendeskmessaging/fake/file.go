package fake

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// File is an upload.
type File struct {
	fakekit.File
	ForMessage bool       `json:"for_message"`          // goes with its message; others stay
	Private    bool       `json:"private"`              // the vendor's own host has it, for who has credentials
	Foreign    string     `json:"foreign,omitempty"`    // another host has it
	RemovedAt  *time.Time `json:"removed_at,omitempty"` // served a while longer
}

// address is where a file is, for a client that has called r.
func (s *Server) address(r *http.Request, f *File) string {
	host, folder := s.o.Files, "/_media/"
	switch {
	case f.Private:
		host, folder = fakekit.Base(r), "/sc/attachments/v2/"
	case f.Foreign != "":
		host = f.Foreign
	case host == "":
		host = fakekit.OtherHost(r, "https://media.smooch.test")
	}
	return host + folder + f.ID + "/" + url.PathEscape(path.Base("/"+f.Name))
}

// dropFile removes the file of a message that goes, if it was uploaded for it.
func (s *Server) dropFile(m Message) {
	if f := s.data.Files[m.File]; f != nil && f.ForMessage {
		s.removed(f)
	}
}

// removed takes a file away. Its copies are served until time has come for them.
func (s *Server) removed(f *File) {
	if f.RemovedAt == nil {
		now := s.Time()
		f.RemovedAt = &now
	}
}

func (s *Server) removeAttachment(r *http.Request) (int, any) {
	var body struct {
		MediaURL string `json:"mediaUrl"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.MediaURL == "" {
		return 400, problem("bad_request", "mediaUrl is required")
	}
	u, err := url.Parse(body.MediaURL)
	if err != nil {
		return 400, problem("bad_request", "mediaUrl is no address")
	}
	f := s.data.Files[path.Base(path.Dir(u.Path))]
	switch {
	case f == nil:
		return 404, problem("not_found", "Attachment not found")
	case f.Foreign != "", s.address(r, f) != body.MediaURL:
		return 400, problem("bad_request", "Unsupported media URL for attachment deletion: "+body.MediaURL)
	case f.RemovedAt != nil:
		return 404, problem("not_found", "Attachment not found")
	}
	s.removed(f)
	return 200, map[string]any{}
}

// media is the other host. Credentials that are sent there are lost.
func (s *Server) media(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		s.Settled(func() { s.Note("LEAKED TOKEN", r) })
		http.Error(w, "credentials at the wrong host", http.StatusBadRequest)
		return
	}
	s.give(w, r, false)
}

// private is the vendor's own host, which gives files to who has credentials.
func (s *Server) private(w http.ResponseWriter, r *http.Request) {
	allowed := false
	s.Settled(func() { allowed = s.open(r) })
	if !allowed {
		http.Error(w, "credentials are needed", http.StatusUnauthorized)
		return
	}
	s.give(w, r, true)
}

func (s *Server) give(w http.ResponseWriter, r *http.Request, private bool) {
	var f File
	there := false
	s.Settled(func() {
		one := s.data.Files[r.PathValue("id")]
		if one != nil && one.Private == private && (one.RemovedAt == nil || s.Time().Before(one.RemovedAt.Add(s.Lasts(cdn)))) {
			f, there = *one, true
		}
	})
	if !there {
		http.Error(w, "gone", http.StatusNotFound)
		return
	}
	f.Serve(w)
}

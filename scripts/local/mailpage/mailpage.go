// Package mailpage shows the letters that were sent through the emulator of SES,
// for people and, with ?format=json, for scripts.
package mailpage

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

// Mail is one letter.
type Mail struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	To      []string  `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	At      time.Time `json:"at"`
}

// A Box is everything that was sent, in this run and in the ones before: the
// emulator forgets letters when it ends.
type Box struct {
	emulator string // URL
	path     string // of what earlier runs have sent

	mu      sync.Mutex
	earlier []Mail
}

// Open reads what earlier runs have left at path.
func Open(emulator, path string) (*Box, error) {
	b := &Box{emulator: emulator, path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &b.earlier)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the letters of earlier runs: %w", err)
	}
	return b, nil
}

// Save leaves everything for the next run. Nobody but the user may read it.
func (b *Box) Save(ctx context.Context) error {
	mails, err := b.Mails(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(mails)
	if err != nil {
		return err
	}
	return os.WriteFile(b.path, text, 0o600)
}

// Mails are all letters, the newest first.
func (b *Box) Mails(ctx context.Context) ([]Mail, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.emulator+"/_ministack/ses/messages?account="+cfn.Account, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct {
		Messages map[string][]struct {
			MessageID          string `json:"MessageId"`
			Source, Subject    string
			To                 []string
			BodyText, BodyHTML string
			Timestamp          float64 // seconds
		} `json:"messages"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("asking the emulator for letters: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	mails := slices.Clone(b.earlier)
	for _, m := range answer.Messages[cfn.Account] {
		seconds, part := math.Modf(m.Timestamp)
		mails = append(mails, Mail{
			ID: m.MessageID, From: m.Source, To: m.To, Subject: m.Subject, Text: m.BodyText, HTML: m.BodyHTML,
			At: time.Unix(int64(seconds), int64(part*1e9)).UTC(),
		})
	}
	slices.SortStableFunc(mails, func(x, y Mail) int { return cmp.Or(y.At.Compare(x.At), strings.Compare(x.ID, y.ID)) })
	return mails, nil
}

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"parts": parts, "framed": framed}).Parse(page))

// ServeHTTP answers the page and the list.
func (b *Box) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	mails, err := b.Mails(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Query().Get("format") == "json" {
		w.Header().Set("Content-Type", "application/json")
		if mails == nil {
			mails = []Mail{}
		}
		_ = json.NewEncoder(w).Encode(mails)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("Referrer-Policy", "no-referrer")
	_ = pageTemplate.Execute(w, mails)
}

// A part of a text is a link, or not.
type part struct {
	Text string
	Link bool
}

var link = regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,;:!?)]`)

func parts(text string) []part {
	var all []part
	for text != "" {
		at := link.FindStringIndex(text)
		if at == nil {
			return append(all, part{Text: text})
		}
		if at[0] > 0 {
			all = append(all, part{Text: text[:at[0]]})
		}
		all = append(all, part{Text: text[at[0]:at[1]], Link: true})
		text = text[at[1]:]
	}
	return all
}

// framed lets the links of a letter open beside the page: its frame may do
// nothing else.
func framed(html string) string { return `<base target="_blank">` + html }

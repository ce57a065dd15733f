package zoom

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// searching is the handle of a search: where it goes on, and what it has found.
// It holds ids and digests, no names and no addresses.
type searching struct {
	Keys  []string `json:"keys"` // digests of what is searched for: with another one the search begins anew
	Day   string   `json:"day"`  // from which windows count
	Stage string   `json:"stage"`

	// Where among the users: a page of a list by status, a host on it, a list of
	// that host, the last entry of it that is done.
	Status, Page, At, Step int
	Token                  string // of the page; it may be dead
	Host, After            string
	Source, Part           int // where among the sources

	Names       []string       `json:"names,omitempty"` // digests of the names that the person's records have
	Registrants []string       `json:"registrants,omitempty"`
	Users       []string       `json:"users,omitempty"`
	Seen        []string       `json:"seen,omitempty"` // digests of refs
	Counts      map[string]int `json:"counts"`
	Notes       []string       `json:"notes,omitempty"`
	Guests      int            `json:"guests,omitempty"` // without e-mail, who might be anybody
	Done, Of    int
}

// The stages of a search.
const (
	stageAccount  = ""         // accounts of the person, by address and id
	stageHints    = "hints"    // events that another system names
	stageSignedUp = "signedup" // registrants and panelists of all hosts' events
	stageCame     = "came"     // participants of all hosts' past sessions
	stageHeld     = "held"     // what the person's accounts hold, calls
	stageDone     = "done"
)

// hostStatuses are the users who may have hosted something.
var hostStatuses = []string{"active", "inactive"}

const (
	perPiece = 25   // calls, after which a piece of a search ends
	maxFound = 1500 // records of one person
)

// search is one piece of a search.
type search struct {
	*Connector
	*searching
	who   *who
	day   time.Time
	calls int // made so far, about
	found []ref
	maybe []ref // sessions with a guest of the person's name
	out   connector.Findings
}

// Locate implements connector.Connector. Zoom cannot be asked for a person: the
// lists of every host are gone through, registrations first, because they give
// the names and ids by which participants without an e-mail are known.
func (c *Connector) Locate(ctx context.Context, subject connector.Subject) (connector.Findings, error) {
	s, err := c.resume(subject)
	if err != nil {
		return connector.Findings{}, err
	}
	if len(s.Keys) == 0 {
		return connector.Findings{}, nil
	}
	switch s.Stage {
	case stageAccount:
		err = s.accounts(ctx)
	case stageHints:
		err = s.hints(ctx)
	case stageSignedUp, stageCame:
		err = s.hosts(ctx)
	case stageHeld:
		err = s.held(ctx)
	}
	if err != nil {
		return connector.Findings{}, err
	}
	return s.findings()
}

// resume goes on with a search that looks for the same person.
func (c *Connector) resume(subject connector.Subject) (*search, error) {
	p, err := c.who(subject)
	if err != nil {
		return nil, err
	}
	s := &search{Connector: c, who: p, searching: &searching{}}
	if subject.Handle != "" {
		if err := kit.ParseHandle(subject.Handle, s.searching); err != nil {
			return nil, err
		}
	}
	var keys []string
	for _, i := range subject.Identifiers {
		if value, ok := i.Normal(); ok && i.Kind != c.own(records) {
			keys = append(keys, digest(string(i.Kind)+" "+value))
		}
	}
	slices.Sort(keys)
	if slices.ContainsFunc(keys, func(k string) bool { return !slices.Contains(s.Keys, k) }) {
		s.searching = &searching{Keys: keys, Day: c.now().UTC().Format(time.DateOnly), Counts: map[string]int{}}
	}
	if len(s.Keys) > 0 {
		if s.day, err = time.Parse(time.DateOnly, s.Day); err != nil {
			return nil, errs.New(errs.Internal, "%s: the handle of a search cannot be read", c.inventory.System)
		}
	}
	for _, id := range s.Users {
		p.users[id] = true
	}
	for _, id := range s.Registrants {
		p.registrants[id] = true
	}
	for _, name := range s.Names {
		p.names[name] = true
	}
	return s, nil
}

// findings are what this piece has found, with the counts of all pieces.
func (s *search) findings() (connector.Findings, error) {
	if len(s.Seen) > maxFound {
		return connector.Findings{}, errs.New(errs.TooLarge, "%s: more than %d records of one person: no single person, or a mailbox of many", s.inventory.System, maxFound)
	}
	for _, text := range pack(s.found) {
		s.out.Identifiers = append(s.out.Identifiers, s.identifier(records, text))
	}
	for _, text := range pack(s.maybe) {
		refs, err := unpack(text)
		if err != nil {
			return connector.Findings{}, err
		}
		var dates []string
		for _, r := range refs {
			dates = append(dates, r.parts[0])
		}
		slices.Sort(dates)
		s.candidate(records, text, "guests without an e-mail, under a name that the person's records have, in past sessions of "+strings.Join(slices.Compact(dates), ", "))
	}
	s.Names = slices.Sorted(maps.Keys(s.who.names))
	s.out.Counts = map[string]int{}
	for kind, n := range s.Counts {
		if n > 0 {
			s.out.Counts[kind] = n
		}
	}
	s.out.Notes = slices.Clone(s.Notes)
	if s.Guests > 0 {
		s.out.Notes = append(s.out.Notes, "in the past sessions that were looked at, guests without an e-mail took part about "+decimal(s.Guests)+" times: those with the person's name are candidates, nobody can tell who the others were")
	}
	s.out.Done, s.out.Of = s.Done, max(s.Of, s.Done)
	if s.Stage != stageDone {
		s.out.More = soon
	}
	s.out.Handle = kit.Handle(s.searching)
	return s.out, nil
}

func (s *search) note(text string) {
	if !slices.Contains(s.Notes, text) {
		s.Notes = append(s.Notes, text)
	}
}

// accounts looks for accounts of the person. One of the company's own users is
// an employee: where the request is not one of an employee, it is put to an
// operator.
func (s *search) accounts(ctx context.Context) error {
	var keys []string
	keys = append(keys, s.who.accounts()...)
	keys = append(keys, slices.Sorted(maps.Keys(s.who.emails))...)
	for _, key := range keys {
		u, err := s.user(ctx, key)
		if err != nil {
			return err
		}
		if u == nil {
			continue
		}
		id := u.text("id")
		byID := s.who.users[id] || s.who.users[key]
		switch unproven := u.text("verified") == "0" && u.text("status") != pending; {
		case byID, s.who.agent && !unproven:
			s.own(u)
		case unproven:
			s.candidate(userID, id, "an account of the company has the same e-mail, which Zoom has not verified")
		default:
			s.candidate(userID, id, "an account of the company has the same e-mail, and the request is not one of an employee: accept it to have the account exported or deleted")
		}
	}
	s.Stage = stageHints
	return nil
}

// own takes in an account of the person.
func (s *search) own(u record) {
	id := u.text("id")
	if !slices.Contains(s.Users, id) {
		s.Users = append(s.Users, id)
		s.who.users[id] = true
	}
	for _, name := range []string{u.text("display_name"), strings.TrimSpace(u.text("first_name") + " " + u.text("last_name"))} {
		s.named(name)
	}
	s.out.Identifiers = append(s.out.Identifiers, s.identifier(userID, id))
	mail := identity.Identifier{Kind: identity.Email, Value: redact.String(u.text("email")), Trust: identity.Vendor, System: s.inventory.System}
	if normal, ok := mail.Normal(); ok {
		s.out.Identifiers = append(s.out.Identifiers, mail)
		s.who.emails[normal] = true
		s.know(identity.Email, normal)
	}
	s.know(s.Connector.own(userID), id)
}

// know keeps the search from beginning anew by what it has yielded itself.
func (s *search) know(kind identity.Kind, value string) {
	if key := digest(string(kind) + " " + value); !slices.Contains(s.Keys, key) {
		s.Keys = append(s.Keys, key)
	}
}

func (s *search) named(name string) {
	if fullName(name) {
		s.who.names[nameDigest(name)] = true
	}
}

// fullName reports whether a name may tell people apart: one word does not, such
// as "iPhone" or "Ines".
func fullName(name string) bool { return strings.Contains(strings.TrimSpace(name), " ") }

func (s *search) candidate(what, value, evidence string) {
	s.out.Candidates = append(s.out.Candidates, connector.Candidate{Identifier: s.identifier(what, value), Evidence: evidence})
}

// hints looks at the events that another system names, before all others.
func (s *search) hints(ctx context.Context) error {
	for _, what := range []string{"meetings", "webinars"} {
		for _, id := range map[string][]string{"meetings": s.who.meetings, "webinars": s.who.webinars}[what] {
			if err := s.signedUp(ctx, what, record{"id": id, "type": float64(8)}); err != nil {
				return err
			}
		}
	}
	s.Stage = stageSignedUp
	return nil
}

// first reports whether a record was not found before: lists are begun again.
func (s *search) first(r ref) bool {
	key := digest(r.String())
	if slices.Contains(s.Seen, key) {
		return false
	}
	s.Seen = append(s.Seen, key)
	return true
}

// take adds a record of the person.
func (s *search) take(r ref, count string) bool {
	if !s.first(r) {
		return false
	}
	s.found = append(s.found, r)
	s.Counts[count]++
	return true
}

// signedUp looks for registrants and panelists of an event.
func (s *search) signedUp(ctx context.Context, what string, event record) error {
	id, kind := event.text("id"), ofMeeting
	if what == "webinars" {
		kind = ofWebinar
	}
	occurrences := []string{""}
	for i := 0; i < len(occurrences); i++ {
		rows, registered, err := s.registrants(ctx, kind, id, occurrences[i], s.who.registered)
		s.calls += len(statuses)
		if err != nil {
			return err
		}
		for _, r := range rows {
			s.register(ref{kind, [3]string{id, r.text("id"), occurrences[i]}}, r)
		}
		if i == 0 && registered && (event.number("type") == 8 || event.number("type") == 9) {
			more, err := s.occurrences(ctx, what, id)
			if err != nil {
				return err
			}
			occurrences = append(occurrences, more...)
		}
	}
	if what == "meetings" {
		return nil
	}
	rows, err := s.panelists(ctx, id, s.who.speaks)
	s.calls++
	for _, r := range rows {
		s.named(r.text("name"))
		s.take(ref{ofPanel, [3]string{id, r.text("id")}}, "panelists")
	}
	return err
}

// register takes in a registration, once, however many occurrences list it.
func (s *search) register(r ref, row record) {
	s.named(row.text("first_name") + " " + row.text("last_name"))
	if id := row.text("id"); id != "" {
		if r.parts[2] != "" && slices.Contains(s.Seen, digest(ref{r.what, [3]string{r.parts[0], id}}.String())) {
			return
		}
		if s.take(r, "registrations") && !s.who.registrants[id] {
			s.who.registrants[id] = true
			s.Registrants = append(s.Registrants, id)
		}
	}
}

// occurrences of an event whose people register for single ones.
func (s *search) occurrences(ctx context.Context, what, id string) (ids []string, err error) {
	route := kit.To("/meetings/{id}", id)
	if what == "webinars" {
		route = kit.To("/webinars/{id}", id)
	}
	full, err := s.get(ctx, route.With("show_previous_occurrences", "true"), noSession...)
	s.calls++
	if err != nil || full == nil {
		return nil, err
	}
	settings, _ := full["settings"].(map[string]any)
	if record(settings).number("registration_type") == 1 { // once for all of them
		return nil, nil
	}
	for _, o := range full.rows([]string{"occurrences"}, nil) {
		if id := o.text("occurrence_id"); id != "" {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// held counts what the person's accounts hold, and the calls.
func (s *search) held(ctx context.Context) error {
	all := s.sources(s.who, s.day)
	for ; s.Source < len(all); s.Source, s.Part = s.Source+1, 0 {
		one := all[s.Source]
		if one.count == "registrations" || one.count == "panelists" || one.count == "sessions" {
			continue // counted when they were found
		}
		for more := true; more; s.Part++ {
			if s.calls >= perPiece {
				return nil
			}
			rows, left, err := one.read(ctx, s.Part)
			if err != nil {
				return err
			}
			s.calls += 1 + len(rows)/10
			s.Counts[one.count] += len(rows)
			more = left
		}
	}
	if s.Counts["hosted meetings"]+s.Counts["hosted webinars"] > 0 {
		s.note("deleting the account also deletes the meetings and webinars that it hosts, with the registrations and the reports of everybody else in them")
	}
	if s.Counts["recordings"] > 0 {
		s.note("the cloud recordings show and quote other people, too")
	}
	s.Stage = stageDone
	return nil
}

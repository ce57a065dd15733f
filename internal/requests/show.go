package requests

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/certificate"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/page"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/sheet"
	"github.com/avow-consent/avow/internal/wire"
)

// answer shows a request after an act. It holds nothing of the person.
func (s *server) answer(w http.ResponseWriter, _ *http.Request, r *request.Request) error {
	v := s.newView(r)
	v.Warnings = *s.warnings
	return httpapi.WriteJSON(w, v)
}

// show is GET /requests/{id}.
func (s *server) show(w http.ResponseWriter, r *http.Request) error {
	of, err := s.of(r)
	if err != nil {
		return err
	}
	known, err := s.store.Known(r.Context(), of.ID)
	if err != nil {
		return err
	}
	masked := !httpapi.CallerOf(r).Key.Rank.AtLeast(keys.Operator)
	v := s.newView(of)
	v.Identifiers = newIdentifiers(known, masked)
	if of.State == request.Locating {
		found, err := s.store.Found(r.Context(), of.ID)
		if err != nil {
			return err
		}
		v.Search = newSearch(found)
	}
	if reference := of.Channel.Reference.Reveal(); reference != "" && masked {
		v.Reference = optional(mask(reference))
	} else {
		v.Reference = optional(reference)
	}
	if !masked {
		personal, err := s.store.Personal(r.Context(), of.ID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		v.Person = newPerson(personal)
	}
	return httpapi.WriteJSON(w, v)
}

// list is GET /requests. It reads an index, which may lag behind a write by a
// moment.
func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	q := request.Query{Site: siteOf(r).ID}
	for name, into := range map[string]*string{"state": (*string)(&q.State), "type": (*string)(&q.Type), "starting_after": &q.After} {
		var err error
		if *into, err = httpapi.Query(r, name, consent.MaxText); err != nil {
			return err
		}
	}
	if q.State != "" && !slices.Contains(request.States, q.State) {
		return errs.InvalidField("state", "must be one of %s", join(request.States))
	}
	if q.Type != "" && !slices.Contains(request.Types, q.Type) {
		return errs.InvalidField("type", "must be one of %s", join(request.Types))
	}
	var err error
	if q.DueBefore, err = httpapi.Time(r, "due_before"); err != nil {
		return err
	}
	if q.Identifier, err = identifierOf(r); err != nil {
		return err
	}
	if q.Limit, err = httpapi.Limit(r); err != nil {
		return err
	}
	page, next, err := s.store.List(r.Context(), q)
	if err != nil {
		return err
	}
	items := []view{}
	for i := range page {
		items = append(items, s.newView(&page[i]))
	}
	if next != "" {
		httpapi.LinkNext(w, r, "starting_after", next)
	}
	return httpapi.WriteJSON(w, items)
}

// identifierOf reads identifier[kind] and identifier[value]; nil when neither is
// given.
func identifierOf(r *http.Request) (*identity.Identifier, error) {
	kind, err := httpapi.Query(r, "identifier[kind]", consent.MaxText)
	if err != nil {
		return nil, err
	}
	value, err := httpapi.Query(r, "identifier[value]", consent.MaxText)
	if err != nil || kind == "" && value == "" {
		return nil, err
	}
	i := identity.Identifier{Kind: identity.Kind(kind), Value: redact.String(value)}
	if _, ok := i.Normal(); !ok || kind == "" {
		return nil, errs.InvalidField("identifier", "needs identifier[kind] and identifier[value], such as email and ada@example.com")
	}
	return &i, nil
}

// planView is what will be asked of which system.
type planView struct {
	Operation connector.Operation `json:"operation"`
	Digest    string              `json:"digest"`
	Current   bool                `json:"current"`  // what locate has found last
	Approved  bool                `json:"approved"` // exactly this
	Stages    [][]request.Planned `json:"stages"`
	Held      []holdView          `json:"holds"`
	// Changes are what a rectification corrects, or which preferences an objection
	// names; only for those who may open requests themselves.
	Changes    []changeView    `json:"changes,omitempty"`
	Candidates []candidateView `json:"candidates"`
}

// candidateView is an identifier that is the person's only if somebody says so.
type candidateView struct {
	identifierView
	Task     *string `json:"task"` // which asks about it
	Decision *string `json:"decision"`
}

// showPlan is GET …/plan.
func (s *server) showPlan(w http.ResponseWriter, r *http.Request) error {
	of, err := s.of(r)
	if err != nil {
		return err
	}
	if of.Findings == "" {
		return errs.New(errs.Conflict, "there is no plan yet: the request is %s", of.State)
	}
	plan, err := s.plans.Plan(r.Context(), of)
	if err != nil {
		return err
	}
	if plan.Stages == nil {
		plan.Stages = [][]request.Planned{}
	}
	v := planView{
		Operation: plan.Operation, Digest: plan.Digest, Current: plan.Digest == of.Findings,
		Approved: plan.Digest == of.Approval.Digest, Stages: plan.Stages, Held: s.newView(of).Holds,
	}
	masked := !httpapi.CallerOf(r).Key.Rank.AtLeast(keys.Operator)
	if v.Candidates, err = s.candidates(r, of.ID, masked); err != nil {
		return err
	}
	if !masked {
		personal, err := s.store.Personal(r.Context(), of.ID)
		if err != nil && !errs.Is(err, errs.NotFound) { // it goes at the close
			return err
		}
		v.Changes = newChanges(personal.Changes)
	}
	return httpapi.WriteJSON(w, v)
}

// candidates are those of a request, each with the task that asks about it.
func (s *server) candidates(r *http.Request, id string, masked bool) ([]candidateView, error) {
	known, err := s.store.Known(r.Context(), id)
	if err != nil {
		return nil, err
	}
	tasks, err := s.store.Tasks(r.Context(), id)
	if err != nil {
		return nil, err
	}
	list := []candidateView{}
	for _, k := range known {
		if k.Evidence == "" {
			continue
		}
		v := candidateView{identifierView: newIdentifiers([]request.Known{k}, masked)[0]}
		for _, t := range tasks {
			if t.Candidate == k.Key {
				v.Task, v.Decision = optional(t.ID), optional(string(t.Decision))
			}
		}
		list = append(list, v)
	}
	return list, nil
}

// entryView is a line of the log.
type entryView struct {
	ID     string            `json:"id"`
	At     string            `json:"at"`
	By     request.Actor     `json:"by"`
	Act    request.Act       `json:"act"`
	From   *string           `json:"from"`
	To     request.State     `json:"to"`
	Why    *string           `json:"why"`
	System *string           `json:"system"`
	Detail map[string]string `json:"detail"`
}

// showLog is GET …/log, oldest first.
func (s *server) showLog(w http.ResponseWriter, r *http.Request) error {
	of, err := s.of(r)
	if err != nil {
		return err
	}
	after, err := httpapi.Query(r, "starting_after", consent.MaxText)
	if err != nil {
		return err
	}
	if after != "" && consent.IDTime(after).IsZero() {
		return errs.InvalidField("starting_after", "must be the id of an entry")
	}
	limit, err := httpapi.Limit(r)
	if err != nil {
		return err
	}
	entries, err := s.store.Log(r.Context(), of.ID, after, limit+1)
	if err != nil {
		return err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		httpapi.LinkNext(w, r, "starting_after", entries[limit-1].ID)
	}
	list := []entryView{}
	for _, e := range entries {
		detail := e.Detail
		if detail == nil {
			detail = map[string]string{}
		}
		list = append(list, entryView{
			e.ID, wire.Time(e.At), e.By, e.Act, optional(string(e.From)), e.To, optional(e.Why), optional(e.System), detail,
		})
	}
	return httpapi.WriteJSON(w, list)
}

// taskView is a question to a person.
type taskView struct {
	ID           string           `json:"id"`
	Kind         request.TaskKind `json:"kind"`
	System       *string          `json:"system"`
	Operation    *string          `json:"operation"`
	Reason       string           `json:"reason"`
	Instructions *string          `json:"instructions"`
	Choices      []request.Act    `json:"choices"`
	Opened       string           `json:"opened"`
	Due          *string          `json:"due"`
	Decided      *string          `json:"decided"`
	Decision     *string          `json:"decision"`
	By           *request.Actor   `json:"by"`
	Why          *string          `json:"why"`
	Evidence     *string          `json:"evidence_sha256"`
	// Candidate is the identifier that a task of the kind candidate asks about.
	Candidate *identifierView `json:"candidate,omitempty"`
}

// listTasks is GET …/tasks: the open ones first.
func (s *server) listTasks(w http.ResponseWriter, r *http.Request) error {
	of, err := s.of(r)
	if err != nil {
		return err
	}
	tasks, err := s.store.Tasks(r.Context(), of.ID)
	if err != nil {
		return err
	}
	known, err := s.store.Known(r.Context(), of.ID)
	if err != nil {
		return err
	}
	masked := !httpapi.CallerOf(r).Key.Rank.AtLeast(keys.Operator)
	slices.SortFunc(tasks, func(a, b request.Task) int {
		if a.Decided.IsZero() != b.Decided.IsZero() {
			if a.Decided.IsZero() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	list := []taskView{}
	for _, t := range tasks {
		list = append(list, newTask(t, known, masked))
	}
	return httpapi.WriteJSON(w, list)
}

func newTask(t request.Task, known []request.Known, masked bool) taskView {
	v := taskView{
		ID: t.ID, Kind: t.Kind, System: optional(t.System), Operation: optional(string(t.Operation)), Reason: t.Reason,
		Instructions: optional(t.Instructions), Choices: append([]request.Act{}, t.Choices...), Opened: wire.Time(t.Opened), Due: instant(t.Due),
		Decided: instant(t.Decided), Decision: optional(string(t.Decision)), Why: optional(t.Why), Evidence: optional(t.Evidence),
	}
	if !t.Decided.IsZero() {
		v.By = &t.By
	}
	for _, k := range known {
		if t.Candidate != "" && k.Key == t.Candidate {
			v.Candidate = &newIdentifiers([]request.Known{k}, masked)[0]
		}
	}
	return v
}

// reading writes into the log who opens a package or a certificate, before it is
// shown.
func (s *server) reading(r *http.Request, what string) (*request.Request, error) {
	of, _, err := s.try(r.Context(), siteOf(r).ID, r.PathValue("id"), func(of *request.Request, now time.Time) (request.Change, error) {
		if what == "package" && of.Package == nil || what == "certificate" && of.Certificate == nil {
			return request.Change{}, errs.New(errs.NotFound, "there is no %s yet", what)
		}
		entry, err := of.Do(request.Read, actorOf(r), "", now)
		entry.Detail = map[string]string{"what": what}
		return request.Change{Entries: []request.Entry{entry}}, err
	})
	return of, err
}

// showPackage is GET …/package: an officer reads before the person does.
func (s *server) showPackage(w http.ResponseWriter, r *http.Request) error {
	of, err := s.reading(r, "package")
	if err != nil {
		return err
	}
	if !of.Package.Expired.IsZero() {
		return errs.New(errs.NotFound, "the package is not kept any more")
	}
	valid := s.terms.Policy.Download
	url, err := s.packages.Download(r.Context(), of, valid)
	if err != nil {
		return err
	}
	v := newPackageView(of.Package)
	v.URL, v.Expires = url, instant(s.now().Add(valid))
	return httpapi.WriteJSON(w, v)
}

// showCertificate is GET …/certificate: the latest one, or the one of a serial,
// byte for byte as it is signed, or as a page for people.
func (s *server) showCertificate(w http.ResponseWriter, r *http.Request) error {
	serial, err := serialOf(r)
	if err != nil {
		return err
	}
	people, err := wantsPage(r)
	if err != nil {
		return err
	}
	language, err := httpapi.Query(r, "language", consent.MaxText)
	if err != nil {
		return err
	}
	if language != "" && !identity.IsLanguage(language) {
		return errs.InvalidField("language", "must be a language tag, such as fr or en")
	}
	of, err := s.reading(r, "certificate")
	if err != nil {
		return err
	}
	if serial == 0 {
		serial = of.Certificate.Serial
	}
	if serial > of.Certificate.Serial {
		return errs.New(errs.NotFound, "there is no certificate with this serial")
	}
	body, err := s.packages.Certificate(r.Context(), of.ID, serial)
	if err != nil {
		return err
	}
	httpapi.Private(w, page.Policy())
	w.Header().Set("Vary", "Accept")
	if people {
		return certificatePage(w, body, cmp.Or(language, of.Language))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, err = w.Write(body)
	return err
}

// certificatePage shows a certificate to people.
func certificatePage(w http.ResponseWriter, body []byte, language string) error {
	var text bytes.Buffer
	if err := certificate.Page(&text, body, language); err != nil {
		// What is kept is Avow's own: whoever asks cannot mend it.
		return errs.Wrap(errs.Internal, err, "the certificate that is kept cannot be shown as a page")
	}
	w.Header().Set("Content-Security-Policy", sheet.Policy+"; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := text.WriteTo(w)
	return err
}

// wantsPage reports whether a page is asked for: by format=html, or by an Accept
// header that names text/html and not JSON before it, as browsers send it.
func wantsPage(r *http.Request) (bool, error) {
	format, err := httpapi.Query(r, "format", 10)
	if err != nil {
		return false, err
	}
	switch format {
	case "html", "json":
		return format == "html", nil
	case "":
	default:
		return false, errs.InvalidField("format", "must be html or json")
	}
	for one := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(one)), ";")
		switch strings.TrimSpace(media) {
		case "text/html":
			return true, nil
		case "application/json":
			return false, nil
		}
	}
	return false, nil
}

func serialOf(r *http.Request) (int, error) {
	text, err := httpapi.Query(r, "serial", 10)
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, errs.InvalidField("serial", "must be a number from 1")
	}
	return n, nil
}

// keyView is a public key that certificates are checked with.
type keyView struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm"`
	Key       string `json:"public_key"` // base64 of the 32 bytes
}

// showKeys is GET /keys, for everybody.
func (s *server) showKeys(w http.ResponseWriter, r *http.Request) error {
	id, key, err := s.signer.PublicKey(r.Context())
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, map[string][]keyView{
		"keys": {{ID: id, Algorithm: "Ed25519", Key: base64.StdEncoding.EncodeToString(key)}},
	})
}

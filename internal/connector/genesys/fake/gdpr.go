package fake

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// values are what a search of a type looks at.
func (s *Subject) values(kind string) []string {
	switch kind {
	case "EMAIL":
		return s.EmailAddresses
	case "PHONE":
		return s.PhoneNumbers
	case "NAME":
		return []string{s.Name}
	case "ADDRESS":
		return s.Addresses
	case "EXTERNAL_ID":
		return []string{s.ExternalID}
	case "TWITTER", "INSTAGRAM", "FACEBOOK", "APPLE_MESSAGES":
		if s.SocialHandle["type"] == kind {
			return []string{s.SocialHandle["value"]}
		}
		return nil
	}
	return nil
}

var searchTypes = []string{"NAME", "ADDRESS", "PHONE", "EMAIL", "TWITTER", "INSTAGRAM", "FACEBOOK", "APPLE_MESSAGES", "EXTERNAL_ID"}

// search is generous: what contains the value is found, and each record is a
// subject of its own.
func (s *Server) search(r *http.Request) (int, any) {
	q := r.URL.Query()
	kind, value := q.Get("searchType"), strings.ToLower(strings.TrimSpace(q.Get("searchValue")))
	if !slices.Contains(searchTypes, kind) || value == "" {
		return problem(400, "bad.request")
	}
	found := []Subject{}
	for _, key := range slices.Sorted(maps.Keys(s.data.Subjects)) {
		one := *s.data.Subjects[key]
		if slices.ContainsFunc(one.values(kind), func(v string) bool { return strings.Contains(strings.ToLower(v), value) }) {
			if s.data.Hidden {
				one.EmailAddresses = nil
			}
			found = append(found, one)
		}
	}
	page, _ := strconv.Atoi(or(q.Get("pageNumber"), "1"))
	from := min(max(0, page-1)*s.o.PageSize, len(found))
	to := min(from+s.o.PageSize, len(found))
	listing := map[string]any{"entities": found[from:to], "pageSize": s.o.PageSize, "pageNumber": page, "total": len(found), "pageCount": (len(found) + s.o.PageSize - 1) / s.o.PageSize}
	if to < len(found) {
		next := url.Values{"searchType": {kind}, "searchValue": {q.Get("searchValue")}, "pageNumber": {strconv.Itoa(page + 1)}}
		listing["nextUri"] = "/api/v2/gdpr/subjects?" + next.Encode()
	}
	return 200, listing
}

// list is all requests, oldest first.
func (s *Server) list(r *http.Request) (int, any) {
	size, _ := strconv.Atoi(or(r.URL.Query().Get("pageSize"), "25"))
	page, _ := strconv.Atoi(or(r.URL.Query().Get("pageNumber"), "1"))
	if size < 1 || size > 100 || page < 1 {
		return problem(400, "bad.request")
	}
	all := slices.SortedFunc(maps.Values(s.data.Requests), func(a, b *Request) int { return strings.Compare(a.ID, b.ID) })
	entities := []any{}
	for i, one := range all {
		if i/size == page-1 {
			entities = append(entities, s.show(r, one))
		}
	}
	return 200, map[string]any{"entities": entities, "pageSize": size, "pageNumber": page, "total": len(all), "pageCount": (len(all) + size - 1) / size}
}

// create begins a request. A deletion that is not confirmed, terms where nothing
// is replaced, and a subject that names nobody are refused.
func (s *Server) create(r *http.Request) (int, any) {
	var body struct {
		RequestType      string
		Subject          Subject
		ReplacementTerms []Term
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return problem(400, "bad.request")
	}
	confirmed := r.URL.Query().Get("deleteConfirmed") == "true"
	switch {
	case body.RequestType != "GDPR_EXPORT" && body.RequestType != "GDPR_UPDATE" && body.RequestType != "GDPR_DELETE",
		body.RequestType == "GDPR_DELETE" && !confirmed,
		(len(body.ReplacementTerms) > 0) != (body.RequestType == "GDPR_UPDATE"),
		body.Subject.given() == 0:
		return problem(400, "bad.request")
	}
	made := &Request{ID: "r-" + s.Number(), Type: body.RequestType, Created: s.Time().UTC(), Subject: body.Subject, Terms: body.ReplacementTerms, Confirmed: confirmed}
	s.data.Requests[made.ID] = made
	return 202, s.show(r, made)
}

// given is how many identifiers a subject has.
func (s *Subject) given() int {
	n := len(s.EmailAddresses) + len(s.PhoneNumbers) + len(s.Addresses)
	for _, text := range []string{s.Name, s.UserID, s.ExternalContactID, s.ExternalID, s.DialerContactID["id"], s.JourneyCustomer["id"], s.SocialHandle["value"]} {
		if text != "" {
			n++
		}
	}
	return n
}

func (s *Server) get(r *http.Request) (int, any) {
	made := s.data.Requests[r.PathValue("id")]
	if made == nil {
		return problem(404, "not.found")
	}
	return 200, s.show(r, made)
}

// show is a GDPRRequest. One archive has a link in resultsUrl, several in
// resultsUrls.
func (s *Server) show(_ *http.Request, made *Request) map[string]any {
	shown := map[string]any{
		"id": made.ID, "createdBy": map[string]string{"id": "client-1"}, "createdDate": made.Created.Format(time.RFC3339), "requestType": made.Type,
		"status": s.status(made), "subject": made.Subject, "selfUri": "/api/v2/gdpr/requests/" + made.ID,
	}
	if len(made.Terms) > 0 {
		shown["replacementTerms"] = made.Terms
	}
	links := []string{}
	for n := range made.Archives {
		links = append(links, "https://api.mypurecloud.com/api/v2/downloads/"+base64.RawURLEncoding.EncodeToString([]byte(made.ID+"."+strconv.Itoa(n))))
	}
	switch {
	case len(links) == 1:
		shown["resultsUrl"] = links[0]
	case len(links) > 1:
		shown["resultsUrls"] = links
	}
	return shown
}

// status goes through the stages of a request.
func (s *Server) status(made *Request) string {
	if made.End != "" {
		return made.End
	}
	if s.data.Odd != "" {
		return s.data.Odd
	}
	stages := []string{"INITIATED", "SEARCHING", map[string]string{"GDPR_UPDATE": "UPDATING", "GDPR_DELETE": "DELETING"}[made.Type], "FINALIZING"}
	if stages[2] == "" {
		stages[2] = "SEARCHING"
	}
	return stages[min(3, int(4*s.Time().Sub(made.Created)/s.Lasts(Work)))]
}

// settle carries out what is due.
func (s *Server) settle() {
	if s.data.Stuck {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.data.Requests)) {
		made := s.data.Requests[id]
		if made.End != "" || s.Time().Sub(made.Created) < s.Lasts(Work) {
			continue
		}
		if s.data.Fails > 0 {
			s.data.Fails--
			made.End = "ERROR"
			continue
		}
		made.End = "COMPLETED"
		switch made.Type {
		case "GDPR_EXPORT":
			made.Archives = s.export(made.Subject)
		case "GDPR_DELETE":
			s.erase(made.Subject)
		case "GDPR_UPDATE":
			s.update(made)
		}
	}
}

// is reports whether a record belongs to the subject of a request: any identifier
// of it is enough, which is why several make wrong matches.
func (s *Subject) is(of Subject) bool {
	for _, kind := range searchTypes {
		for _, want := range of.values(kind) {
			if want != "" && slices.ContainsFunc(s.values(kind), func(v string) bool { return strings.EqualFold(v, want) }) {
				return true
			}
		}
	}
	return of.UserID != "" && s.UserID == of.UserID || of.ExternalContactID != "" && s.ExternalContactID == of.ExternalContactID ||
		of.DialerContactID["id"] != "" && maps.Equal(s.DialerContactID, of.DialerContactID) || of.JourneyCustomer["id"] != "" && maps.Equal(s.JourneyCustomer, of.JourneyCustomer)
}

// export is an employee's profile with the messages that they sent, or a
// customer's records with the whole conversations: what an agent wrote, too.
func (s *Server) export(of Subject) []map[string]string {
	files := map[string]string{}
	profiles, messages := []any{}, []any{}
	for _, key := range slices.Sorted(maps.Keys(s.data.Subjects)) {
		if one := s.data.Subjects[key]; one.is(of) {
			profiles = append(profiles, one)
		}
	}
	for _, m := range s.data.Messages {
		if of.UserID != "" && m.From == of.UserID || of.UserID == "" && slices.ContainsFunc(of.EmailAddresses, func(e string) bool { return m.From == e || m.To == e }) {
			messages = append(messages, map[string]any{"from": map[string]string{"id": m.From}, "body": m.Body, "dateSent": m.At.Format(time.RFC3339)})
		}
	}
	if len(profiles)+len(messages) == 0 {
		return nil
	}
	files["profile.json"], files["conversations/messages.json"] = encode(profiles), encode(map[string]any{"conversationId": "c-1", "messages": messages})
	files["conversations/recording.wav"] = "RIFF....WAVE"
	archives := []map[string]string{files}
	for n := 1; n < s.o.Parts; n++ {
		archives = append(archives, map[string]string{"part" + strconv.Itoa(n+1) + ".json": `{"part":` + strconv.Itoa(n+1) + `}`})
	}
	return archives
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return string(text)
}

// erase takes out what identifies a person. Of an external contact, and of a user
// in the directory, an empty record stays.
func (s *Server) erase(of Subject) {
	for key, one := range s.data.Subjects {
		switch {
		case !one.is(of):
		case one.ExternalContactID != "":
			*one = Subject{ExternalContactID: one.ExternalContactID}
		default:
			delete(s.data.Subjects, key)
		}
	}
	s.data.Messages = slices.DeleteFunc(s.data.Messages, func(m Message) bool {
		return m.From == of.UserID || slices.Contains(of.EmailAddresses, m.From)
	})
}

func (s *Server) update(made *Request) {
	for _, one := range s.data.Subjects {
		if !one.is(made.Subject) {
			continue
		}
		for _, t := range made.Terms {
			swap := func(text *string) {
				if strings.EqualFold(*text, t.ExistingValue) {
					*text = t.UpdatedValue
				}
			}
			switch t.Type {
			case "NAME":
				swap(&one.Name)
			case "EXTERNAL_ID":
				swap(&one.ExternalID)
			case "EMAIL":
				for i := range one.EmailAddresses {
					swap(&one.EmailAddresses[i])
				}
			case "PHONE":
				for i := range one.PhoneNumbers {
					swap(&one.PhoneNumbers[i])
				}
			}
		}
	}
}

// signed is the host of results: it knows no bearer, and its links expire.
func (s *Server) signed(r *http.Request) (int, any) {
	if r.Header.Get("Authorization") != "" {
		s.Note("token sent to the host of results", r)
		return 400, fakekit.Raw{Text: "only one authentication mechanism"}
	}
	link, ok := s.data.Links[r.PathValue("token")]
	if !ok || s.Time().After(link.Until) || s.data.Dead > 0 {
		s.data.Dead = max(0, s.data.Dead-1)
		return 403, fakekit.Raw{Header: http.Header{"Content-Type": {"application/xml"}}, Text: "<Error>expired</Error>"}
	}
	files := s.data.Requests[link.Request].Archives[link.Part]
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write([]byte(files[name]))
		}
		if err != nil {
			panic(err) // memory
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return 200, fakekit.Raw{Header: http.Header{"Content-Type": {"application/zip"}}, Text: b.String()}
}

package fake

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (s *Server) describe(r *http.Request) (int, any) {
	o, ok := s.object(r.PathValue("type"))
	if !ok {
		return noRecord()
	}
	fields := []map[string]any{}
	for _, f := range o.fields {
		if s.o.NoPrivacy && f.name == "IndividualId" {
			continue
		}
		fields = append(fields, map[string]any{"name": f.name, "type": f.kind, "updateable": !f.fixed, "nillable": !f.needed, "externalId": f.up, "length": 255})
	}
	return 200, map[string]any{"name": r.PathValue("type"), "keyPrefix": o.prefix, "deletable": true, "fields": fields}
}

// live is the record of a path; the id may have 15 characters.
func (s *Server) live(object, id string) *Record {
	if len(id) == 15 {
		id += "AAA"
	}
	r := s.data.Records[id]
	if r == nil || r.Deleted || r.Type != object {
		return nil
	}
	return r
}

// archived records are shown by queryAll only, and can be changed and deleted.
func (r *Record) archived() bool {
	archived, _ := r.Fields["IsArchived"].(bool)
	return archived
}

func (s *Server) names(object string) (names []string) {
	for _, f := range schema[object].fields {
		if !s.o.NoPrivacy || f.name != "IndividualId" {
			names = append(names, f.name)
		}
	}
	return names
}

func (s *Server) get(r *http.Request) (int, any) {
	record := s.live(r.PathValue("type"), r.PathValue("id"))
	if record == nil {
		return noRecord()
	}
	return 200, s.row(record, s.names(record.Type))
}

// byExternalID finds a record by a number of the company's own, or is the
// content of a file.
func (s *Server) byExternalID(r *http.Request) (int, any) {
	object, field, value := r.PathValue("type"), r.PathValue("field"), r.PathValue("value")
	if value == "VersionData" {
		v := s.live(object, field)
		if v == nil {
			return noRecord()
		}
		return 200, fakeFile(v)
	}
	f := schema[object].field(field)
	if f == nil || !f.up {
		return problem(400, "INVALID_FIELD", "Provided external ID field does not exist or is not accessible: "+field)
	}
	var found []*Record
	for _, record := range s.all(object, false) {
		if record.text(field) == value {
			found = append(found, record)
		}
	}
	switch len(found) {
	case 0:
		return noRecord()
	case 1:
		return 200, s.row(found[0], s.names(object))
	}
	urls := []string{}
	for _, record := range found {
		urls = append(urls, "/services/data/v"+Version+"/sobjects/"+object+"/"+record.ID)
	}
	return 300, urls
}

func body(r *http.Request, into any) bool { return json.NewDecoder(r.Body).Decode(into) == nil }

func (s *Server) create(r *http.Request) (int, any) {
	var fields map[string]any
	if !body(r, &fields) {
		return problem(400, "JSON_PARSER_ERROR", "the body is no JSON")
	}
	return s.insert(r.PathValue("type"), fields)
}

func (s *Server) insert(object string, fields map[string]any) (int, any) {
	o, ok := s.object(object)
	if !ok {
		return noRecord()
	}
	if status, problem := s.judge(object, fields); status != 0 {
		return status, problem
	}
	for _, f := range o.fields {
		if f.needed && !f.fixed && (fields[f.name] == nil || fields[f.name] == "") {
			return problem(400, "REQUIRED_FIELD_MISSING", "Required fields are missing: ["+f.name+"]", f.name)
		}
	}
	return 201, map[string]any{"id": s.add(object, fields).ID, "success": true, "errors": []any{}}
}

// judge refuses fields that cannot be written so; status 0 is no objection.
func (s *Server) judge(object string, fields map[string]any) (int, any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f := schema[object].field(name)
		switch {
		case f == nil || f.name == "IndividualId" && s.o.NoPrivacy:
			return problem(400, "INVALID_FIELD", "No such column '"+name+"' on sobject of type "+object, name)
		case f.fixed:
			return problem(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: "+name, name)
		case f.needed && (fields[name] == nil || fields[name] == ""):
			return problem(400, "REQUIRED_FIELD_MISSING", "Required fields are missing: ["+name+"]", name)
		case f.kind == "email" && fields[name] != nil && fields[name] != "" && !strings.Contains(fields[name].(string), "@"):
			return problem(400, "INVALID_EMAIL_ADDRESS", "invalid email address: "+fields[name].(string), name)
		}
	}
	return 0, nil
}

func (s *Server) patch(r *http.Request) (int, any) {
	var fields map[string]any
	if !body(r, &fields) {
		return problem(400, "JSON_PARSER_ERROR", "the body is no JSON")
	}
	return s.update(r.PathValue("type"), r.PathValue("id"), fields)
}

func (s *Server) update(object, id string, fields map[string]any) (int, any) {
	record := s.live(object, id)
	if record == nil {
		if gone := s.data.Records[id]; gone != nil && gone.Deleted {
			return problem(404, "ENTITY_IS_DELETED", "entity is deleted")
		}
		return noRecord()
	}
	if object == "EmailMessage" {
		return problem(400, "INSUFFICIENT_ACCESS_OR_READONLY", "an e-mail that was sent cannot be changed")
	}
	if converted, _ := record.Fields["IsConverted"].(bool); converted {
		return problem(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
	}
	if status, problem := s.judge(object, fields); status != 0 {
		return status, problem
	}
	maps.Copy(record.Fields, fields)
	s.touch(record)
	return 204, nil
}

func (s *Server) remove(r *http.Request) (int, any) {
	if record := s.data.Records[r.PathValue("id")]; record != nil && record.Type != r.PathValue("type") {
		return noRecord()
	}
	if code := s.trash(r.PathValue("id")); code != "" {
		status := 400
		if code == "ENTITY_IS_DELETED" || code == "NOT_FOUND" {
			status = 404
		}
		return problem(status, code, "the record cannot be deleted: it is associated with others")
	}
	return 204, nil
}

// trash moves a record and what hangs on it to the bin; code is why not.
func (s *Server) trash(id string) (code string) {
	r := s.data.Records[id]
	switch {
	case r == nil:
		return "NOT_FOUND"
	case r.Deleted:
		return "ENTITY_IS_DELETED"
	case s.data.Vetoed[id] != "":
		return s.data.Vetoed[id]
	case r.Type == "User":
		return "INSUFFICIENT_ACCESS_OR_READONLY" // users are never deleted
	}
	if r.Type == "Contact" {
		for _, c := range s.all("Case", false) {
			if c.text("ContactId") == id {
				return "DELETE_FAILED"
			}
		}
	}
	r.Deleted, r.DeletedAt = true, s.Time()
	s.cascade(r, func(child *Record) {
		if !child.Deleted {
			child.Deleted, child.DeletedAt = true, s.Time()
		}
	})
	return ""
}

// cascade goes through what is deleted with a record.
func (s *Server) cascade(r *Record, f func(*Record)) {
	for object, lookup := range schema[r.Type].cascade {
		for _, child := range s.all(object, true) {
			if child.text(lookup) == r.ID {
				f(child)
			}
		}
	}
	for _, link := range s.all("ContentDocumentLink", true) {
		if link.text("LinkedEntityId") == r.ID || link.text("ContentDocumentId") == r.ID {
			f(link)
		}
	}
	for _, v := range s.all("ContentVersion", true) {
		if v.text("ContentDocumentId") == r.ID {
			f(v)
		}
	}
}

// removeMany deletes up to 200 records of any objects. The answer is 200
// whatever has become of each.
func (s *Server) removeMany(r *http.Request) (int, any) {
	q := r.URL.Query()
	ids := strings.Split(q.Get("ids"), ",")
	if q.Get("ids") == "" || len(ids) > 200 {
		return problem(400, "INVALID_ID_FIELD", "between 1 and 200 ids are needed")
	}
	if q.Get("allOrNone") != "false" {
		for _, id := range ids {
			if s.data.Vetoed[id] != "" {
				return problem(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", "one was refused")
			}
		}
	}
	results := []map[string]any{}
	for _, id := range ids {
		errors := []map[string]any{}
		if code := s.trash(id); code != "" {
			errors = append(errors, map[string]any{"statusCode": code, "message": "the record cannot be deleted", "fields": []string{}})
		}
		results = append(results, map[string]any{"id": id, "success": len(errors) == 0, "errors": errors})
	}
	return 200, results
}

// retrieve gives some fields of many records; null for one that cannot be seen.
func (s *Server) retrieve(r *http.Request) (int, any) {
	var want struct{ IDs, Fields []string }
	object, ok := s.object(r.PathValue("type"))
	if !ok {
		return noRecord()
	}
	if !body(r, &want) || len(want.IDs) == 0 || len(want.IDs) > 2000 || len(want.Fields) == 0 {
		return problem(400, "MALFORMED_ID", "ids and fields are needed")
	}
	for _, name := range want.Fields {
		if object.field(name) == nil {
			return problem(400, "INVALID_FIELD", "No such column '"+name+"'", name)
		}
	}
	rows := []any{}
	for _, id := range want.IDs {
		if record := s.live(r.PathValue("type"), id); record != nil && !record.archived() {
			rows = append(rows, s.row(record, want.Fields))
		} else {
			rows = append(rows, nil)
		}
	}
	return 200, rows
}

// composite carries out up to 25 calls, all or none; one may name the id that an
// earlier one has made.
func (s *Server) composite(r *http.Request) (int, any) {
	var all struct {
		AllOrNone        bool
		CompositeRequest []struct {
			Method, URL, ReferenceID string
			Body                     map[string]any
		}
	}
	if !body(r, &all) || len(all.CompositeRequest) == 0 || len(all.CompositeRequest) > 25 || !all.AllOrNone {
		return problem(400, "INVALID_INPUT", "compositeRequest and allOrNone are needed")
	}
	before, err := json.Marshal(s.data.Records)
	if err != nil {
		panic(err) // plain data
	}
	answers, failed := []map[string]any{}, false
	made := map[string]string{}
	for _, call := range all.CompositeRequest {
		for name, value := range call.Body {
			for reference, id := range made {
				if value == "@{"+reference+".id}" {
					call.Body[name] = id
				}
			}
		}
		path := strings.Split(strings.TrimPrefix(call.URL, "/services/data/v"+Version+"/sobjects/"), "/")
		status, answer := problem(400, "INVALID_INPUT", "unknown call")
		switch {
		case call.Method == http.MethodPost && len(path) == 1:
			status, answer = s.insert(path[0], call.Body)
			if m, ok := answer.(map[string]any); ok {
				made[call.ReferenceID], _ = m["id"].(string)
			}
		case call.Method == http.MethodPatch && len(path) == 2:
			status, answer = s.update(path[0], path[1], call.Body)
		}
		failed = failed || status >= 300
		answers = append(answers, map[string]any{"referenceId": call.ReferenceID, "httpStatusCode": status, "httpHeaders": map[string]string{}, "body": answer})
	}
	if failed {
		s.data.Records = map[string]*Record{}
		if err := json.Unmarshal(before, &s.data.Records); err != nil {
			panic(err) // what was written above
		}
	}
	return 200, map[string]any{"compositeResponse": answers}
}

// AddFile adds a file to records and returns the id of the document.
func (s *Server) AddFile(title, text string, records ...string) (id string) {
	s.Settled(func() { id = s.addFile(title, text, records...) })
	return id
}

func (s *Server) addFile(title, text string, records ...string) string {
	name, extension, _ := strings.Cut(title, ".")
	document := s.add("ContentDocument", map[string]any{"Title": name})
	s.add("ContentVersion", map[string]any{"ContentDocumentId": document.ID, "Title": name, "FileExtension": extension, "IsLatest": true, "ContentSize": len(text), "Text": text})
	for _, record := range records {
		s.add("ContentDocumentLink", map[string]any{"ContentDocumentId": document.ID, "LinkedEntityId": record})
	}
	return document.ID
}

// instant is a time as Salesforce writes it.
const instantForm = "2006-01-02T15:04:05.000+0000"

func instant(t time.Time) string { return t.UTC().Format(instantForm) }

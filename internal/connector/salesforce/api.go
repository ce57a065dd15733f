package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// The error codes of Salesforce that mean something to the connector.
const (
	limitReached = "REQUEST_LIMIT_EXCEEDED"
	isDeleted    = "ENTITY_IS_DELETED"
	notFound     = "NOT_FOUND"
	isConverted  = "CANNOT_UPDATE_CONVERTED_LEAD"
	mayNotHard   = "FEATURENOTENABLED"
	jobState     = "INVALIDJOBSTATE"
	rowLocked    = "UNABLE_TO_LOCK_ROW"
)

// longPause is how long an org whose calls of a day are spent is left alone: the
// limit is one of the last 24 hours, and the answer does not say when it ends.
const longPause = 4 * time.Hour

// codes may stand in an error text.
var codes = map[string]errs.Kind{
	limitReached: errs.Unavailable, rowLocked: errs.Unavailable, "SERVER_UNAVAILABLE": errs.Unavailable,
	"INVALID_SESSION_ID": "", isDeleted: "", notFound: "", isConverted: "", mayNotHard: errs.Forbidden, jobState: "",
	"INVALID_FIELD": "", "INVALID_TYPE": "", "MALFORMED_QUERY": "", "DELETE_FAILED": errs.Conflict, "INSUFFICIENT_ACCESS_OR_READONLY": errs.Forbidden,
	"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": errs.Forbidden, "API_DISABLED_FOR_ORG": errs.Forbidden, "INSUFFICIENT_ACCESS": errs.Forbidden,
	"FIELD_CUSTOM_VALIDATION_EXCEPTION": "", "REQUIRED_FIELD_MISSING": "", "INVALID_FIELD_FOR_INSERT_UPDATE": "", "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "",
	"DUPLICATES_DETECTED": "", "INVALID_EMAIL_ADDRESS": "", "STRING_TOO_LONG": "", "invalid_client": errs.Forbidden, "invalid_client_id": errs.Forbidden, "invalid_grant": errs.Forbidden,
}

// code reads an error code: an array at the data API, an object at the login.
func code(a *kit.Answer) string {
	var list []struct {
		Code string `json:"errorCode"`
	}
	if a.JSON(&list) == nil {
		if len(list) > 0 {
			return list[0].Code
		}
		return ""
	}
	var one struct {
		Code string `json:"error"`
	}
	if a.JSON(&one) != nil {
		return ""
	}
	return one.Code
}

// row is a record as Salesforce shows it.
type row map[string]any

func (r row) text(field string) string {
	text, _ := r[field].(string)
	return text
}

func (r row) flag(field string) bool {
	flag, _ := r[field].(bool)
	return flag
}

// plain is a record without Salesforce's own note of what it is.
func (r row) plain() row {
	delete(r, "attributes")
	return r
}

// isID reports whether a text has the form of a record's id.
func isID(text string) bool {
	if len(text) != 15 && len(text) != 18 {
		return false
	}
	return !strings.ContainsFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}

func (c *Connector) do(ctx context.Context, call kit.Call) (*kit.Answer, error) {
	api, err := c.session.client(ctx)
	if err != nil {
		return nil, err
	}
	return api.Do(ctx, call)
}

// record reads a record with all fields that may be read; nil when it is gone.
func (c *Connector) record(ctx context.Context, object, id string) (row, error) {
	a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/sobjects/"+object+"/{id}", id), Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	var r row
	return r, a.JSON(&r)
}

// patch changes fields; applied is false for a converted lead, and for a record
// that is gone.
func (c *Connector) patch(ctx context.Context, object, id string, fields map[string]any) (applied bool, err error) {
	a, err := c.do(ctx, kit.Call{
		Method: http.MethodPatch, Route: kit.To("/sobjects/"+object+"/{id}", id), Body: fields, Repeatable: true,
		Expect: []int{http.StatusNotFound}, ExpectCodes: []string{isConverted},
	})
	return err == nil && a.Status < 300, err
}

// maxPages bounds a query; each is a list of a person's records.
const maxPages = 200

// page is an answer to a query.
type page struct {
	Total   int    `json:"totalSize"`
	Done    bool   `json:"done"`
	Next    string `json:"nextRecordsUrl"`
	Records []row  `json:"records"`
}

// query reads the rows of a query to its end, page by page; bin includes those
// in the Recycle Bin.
func (c *Connector) query(ctx context.Context, soql string, bin bool, take func([]row) error) error {
	path := "/query"
	if bin {
		path = "/queryAll"
	}
	first := kit.To(path).With("q", soql)
	return kit.Walk(maxPages, func(link string) (string, error) {
		api, err := c.session.client(ctx)
		if err != nil {
			return "", err
		}
		route := first
		if link != "" {
			if route, err = api.Link(first, link); err != nil {
				return "", err
			}
		}
		var p page
		if err := api.Get(ctx, route, &p); err != nil {
			return "", err
		}
		if err := take(p.Records); err != nil || p.Done {
			return "", err
		}
		if p.Next == "" {
			return "", errs.New(errs.Internal, "%s GET %s: the list goes on, but not where", c.inventory.System, path)
		}
		return p.Next, nil
	})
}

// rows are all rows of a query that is bounded by its LIMIT.
func (c *Connector) rows(ctx context.Context, soql string, bin bool) (list []row, err error) {
	err = c.query(ctx, soql, bin, func(page []row) error {
		list = append(list, page...)
		return nil
	})
	return list, err
}

// count is how many rows a query would give.
func (c *Connector) count(ctx context.Context, from, where string, bin bool) (int, error) {
	path := "/query"
	if bin {
		path = "/queryAll"
	}
	a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To(path).With("q", "SELECT COUNT() FROM "+from+" WHERE "+where)})
	if err != nil {
		return 0, err
	}
	var p page
	err = a.JSON(&p)
	return p.Total, err
}

// field is what describe says of one.
type field struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Updateable bool   `json:"updateable"`
	Nillable   bool   `json:"nillable"`
}

// describe are the fields of an object that the connector's user may see.
func (c *Connector) describe(ctx context.Context, object string) ([]field, error) {
	a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/sobjects/" + object + "/describe")})
	if err != nil {
		return nil, err
	}
	var d struct {
		Fields []field `json:"fields"`
	}
	if err := a.JSON(&d); err != nil {
		return nil, err
	}
	if len(d.Fields) == 0 {
		return nil, errs.New(errs.Internal, "%s GET /sobjects/%s/describe: no fields", c.inventory.System, object)
	}
	return d.Fields, nil
}

// retrieve reads fields of many records; one that is gone is left out. Texts may
// be so long that the answer about all of them is: then it reads them in halves.
func (c *Connector) retrieve(ctx context.Context, object string, ids []string, fields []field) ([]row, error) {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		if f.Type != "base64" { // content is read as a file
			names = append(names, f.Name)
		}
	}
	a, err := c.do(ctx, kit.Call{
		Method: http.MethodPost, Route: kit.To("/composite/sobjects/" + object), Repeatable: true,
		Body: map[string]any{"ids": ids, "fields": names},
	})
	if half := len(ids) / 2; errs.Is(err, errs.TooLarge) && half > 0 {
		first, err := c.retrieve(ctx, object, ids[:half], fields)
		if err != nil {
			return nil, err
		}
		second, err := c.retrieve(ctx, object, ids[half:], fields)
		return append(first, second...), err
	}
	if err != nil {
		return nil, err
	}
	var list []row
	if err := a.JSON(&list); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(r row) bool { return r == nil }), nil
}

// outcome is what became of one record of many.
type outcome struct {
	ID      string `json:"id"`
	Success bool   `json:"success"`
	Errors  []struct {
		Code string `json:"statusCode"`
	} `json:"errors"`
}

// gone reports whether the record is deleted now, by this call or an earlier one.
func (o outcome) gone() bool {
	return o.Success || len(o.Errors) > 0 && (o.Errors[0].Code == isDeleted || o.Errors[0].Code == notFound)
}

// remove moves records to the Recycle Bin, each for itself.
func (c *Connector) remove(ctx context.Context, ids []string) ([]outcome, error) {
	if len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return !isID(id) }) {
		return nil, errs.New(errs.Internal, "%s DELETE /composite/sobjects: what is to be deleted is no record", c.inventory.System)
	}
	a, err := c.do(ctx, kit.Call{Method: http.MethodDelete, Route: kit.To("/composite/sobjects").With("ids", strings.Join(ids, ",")).With("allOrNone", "false")})
	if err != nil {
		return nil, err
	}
	var list []outcome
	if err := a.JSON(&list); err != nil {
		return nil, err
	}
	if len(list) != len(ids) {
		return nil, errs.New(errs.Unavailable, "%s DELETE /composite/sobjects: the answer is not about all records", c.inventory.System)
	}
	return list, nil
}

// link is the address of a record's blob, below the instance's host.
func (c *Connector) link(parts ...string) string {
	return "/services/data/v" + c.config.Version + "/" + strings.Join(parts, "/")
}

// composite carries out calls of which all are applied, or none.
func (c *Connector) composite(ctx context.Context, calls []map[string]any) error {
	a, err := c.do(ctx, kit.Call{Method: http.MethodPost, Route: kit.To("/composite"), Body: map[string]any{"allOrNone": true, "compositeRequest": calls}})
	if err != nil {
		return err
	}
	var all struct {
		Answers []struct {
			Status int             `json:"httpStatusCode"`
			Body   json.RawMessage `json:"body"`
		} `json:"compositeResponse"`
	}
	if err := a.JSON(&all); err != nil {
		return err
	}
	for _, one := range all.Answers {
		if one.Status >= 300 {
			return errs.New(errs.Invalid, "%s POST /composite: status %d in the answer", c.inventory.System, one.Status)
		}
	}
	if len(all.Answers) != len(calls) {
		return errs.New(errs.Unavailable, "%s POST /composite: the answer is not about all calls", c.inventory.System)
	}
	return nil
}

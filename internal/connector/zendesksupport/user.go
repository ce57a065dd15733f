package zendesksupport

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// user is a user as far as the connector decides by it; raw is all of it.
type user struct {
	ID         int64             `json:"id"`
	Name       string            `json:"name"`
	Alias      string            `json:"alias"`
	Email      string            `json:"email"`
	Phone      string            `json:"phone"`
	ExternalID string            `json:"external_id"`
	Role       string            `json:"role"`
	Active     bool              `json:"active"`
	Verified   bool              `json:"verified"` // the primary identity is proven
	Suspended  bool              `json:"suspended"`
	Tags       []string          `json:"tags"`
	Fields     map[string]record `json:"user_fields"`
	raw        record
}

// UnmarshalJSON implements json.Unmarshaler.
func (u *user) UnmarshalJSON(text []byte) error {
	type fields user
	if err := json.Unmarshal(text, (*fields)(u)); err != nil {
		return err
	}
	u.raw = append(record(nil), text...)
	return nil
}

// staff reports whether the user answers others.
func (u user) staff() bool { return u.Role != "end-user" && u.Role != "" }

// An ident is an identity: one address or number under which Zendesk knows a user.
type ident struct {
	ID         int64  `json:"id"`
	Type       string `json:"type"`
	Value      string `json:"value"`
	Primary    bool   `json:"primary"`
	Verified   bool   `json:"verified"`
	VerifiedAt string `json:"verified_at"` // newer accounts have only this one
	raw        record
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *ident) UnmarshalJSON(text []byte) error {
	type fields ident
	if err := json.Unmarshal(text, (*fields)(i)); err != nil {
		return err
	}
	i.raw = append(record(nil), text...)
	return nil
}

func (i ident) proven() bool { return i.Verified || i.VerifiedAt != "" }

// The types of identities that are compared.
const (
	emailType = "email"
	phoneType = "phone_number"
)

// identifier is what an identity is to Avow; none for those that Avow cannot compare.
func (i ident) identifier() identity.Identifier {
	kind := map[string]identity.Kind{emailType: identity.Email, phoneType: identity.Phone, "agent_forwarding": identity.Phone}[i.Type]
	return identity.Identifier{Kind: kind, Value: redact.String(i.Value), Trust: identity.Vendor}
}

// account is a user with its identities.
type account struct {
	user
	idents []ident
}

// account reads a user with its identities; nil for one that does not exist, or
// not any more.
func (w *work) account(ctx context.Context, id int64) (*account, error) {
	u, err := w.user(ctx, id)
	if err != nil || u == nil {
		return nil, err
	}
	idents, err := w.identities(ctx, id)
	return &account{user: *u, idents: idents}, err
}

func (w *work) user(ctx context.Context, id int64) (*user, error) {
	var body struct {
		User user `json:"user"`
	}
	found, err := w.get(ctx, kit.To("/users/{user_id}", number(id)), &body)
	if err != nil || !found {
		return nil, err
	}
	return &body.User, nil
}

func (w *work) identities(ctx context.Context, id int64) (idents []ident, err error) {
	type page struct {
		Identities []ident `json:"identities"`
	}
	err = each(ctx, w, kit.To("/users/{user_id}/identities", number(id)), pageSize, func(p *page, _ bool) (bool, error) {
		idents = append(idents, p.Identities...)
		return false, nil
	})
	return idents, err
}

// identifiers are what the account carries; proven says whether it names the
// person beyond doubt.
func (a *account) identifiers() (all []identity.Identifier, proven []bool) {
	add := func(i identity.Identifier, sure bool) {
		if _, ok := i.Normal(); ok {
			all, proven = append(all, i), append(proven, sure)
		}
	}
	for _, i := range a.idents {
		add(i.identifier(), i.proven())
	}
	add(identity.Identifier{Kind: identity.ExternalID, Value: redact.String(a.ExternalID), Trust: identity.Vendor}, true)
	add(identity.Identifier{Kind: identity.Phone, Value: redact.String(a.Phone), Trust: identity.Vendor}, true)
	add(identity.Identifier{Kind: identity.Email, Value: redact.String(a.Email), Trust: identity.Vendor}, false) // its identity says whether it is proven
	return all, proven
}

// carries reports whether the account has an identifier, and whether that is proven.
func (a *account) carries(want identity.Identifier) (yes, proven bool) {
	all, sure := a.identifiers()
	for n, i := range all {
		if same(i, want) {
			yes, proven = true, proven || sure[n]
		}
	}
	return yes, proven
}

// same compares two identifiers in normal form.
func same(a, b identity.Identifier) bool {
	one, ok1 := a.Normal()
	two, ok2 := b.Normal()
	return a.Kind == b.Kind && ok1 && ok2 && one == two
}

// quote is a value for Zendesk's search syntax. What could end the quotes or
// begin an operator is left out: the search finds more then, and every hit is
// compared anyway.
func quote(value string) string {
	return `"` + strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || r == '*' || r < ' ' {
			return -1
		}
		return r
	}, value) + `"`
}

// search finds users by an identifier. Zendesk matches parts and is minutes
// behind: what it finds must be read and compared.
func (w *work) search(ctx context.Context, by identity.Identifier) ([]user, error) {
	want, ok := by.Normal()
	if !ok {
		return nil, nil
	}
	route := kit.To("/users/search")
	switch by.Kind {
	case identity.Email:
		return w.hits(ctx, route.With("query", "email:"+quote(want)))
	case identity.ExternalID:
		return w.hits(ctx, route.With("external_id", want))
	case identity.Phone:
		users, err := w.hits(ctx, route.With("query", "phone:"+quote(want)))
		if err != nil || len(users) > 0 {
			return users, err
		}
		return w.hits(ctx, route.With("query", quote(want))) // where the account knows no such operator
	}
	return nil, nil
}

// hits reads the pages of a search for users. It has no cursor: pages are
// numbered and end at 10,000 rows, which must not look like the end of the list.
func (w *work) hits(ctx context.Context, route kit.Route) (users []user, err error) {
	for n := 1; n <= offset; n++ {
		var page struct {
			Users []user `json:"users"`
			Next  string `json:"next_page"`
		}
		a, err := w.do(ctx, kit.Call{Method: http.MethodGet, Route: route.With("per_page", number(pageSize)).With("page", number(int64(n)))})
		if err != nil {
			return nil, err
		}
		if err := a.JSON(&page); err != nil {
			return nil, err
		}
		if users = append(users, page.Users...); page.Next == "" {
			return users, nil
		}
	}
	return nil, errs.New(errs.TooLarge, "%s GET %s: the search finds more than 10,000 users", w.inventory.System, route)
}

package zendesksupport

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

var _ connector.Marker = (*Connector)(nil)

// The tags of requests. No answer moves them.
const (
	restricted = "avow-restricted"
	objected   = "avow-objected"
)

// tagForm is a tag as Zendesk keeps it: it lowers letters and splits at spaces.
var tagForm = regexp.MustCompile(`^[a-z0-9_/-]{1,128}$`)

// CheckMark implements connector.Marker. A tag stands for a no.
func (c *Connector) CheckMark(flag string) error {
	if !tagForm.MatchString(flag) {
		return errs.New(errs.Invalid, "%q is no tag: 1 to 128 of a-z, 0-9, _, - and /", flag)
	}
	if flag == restricted || flag == objected {
		return errs.New(errs.Invalid, "the tag %q belongs to requests", flag)
	}
	return nil
}

// Mark implements connector.Marker, for end users with one of the person's
// e-mails, where Zendesk has verified it.
func (c *Connector) Mark(ctx context.Context, m connector.Marking) (connector.Marked, error) {
	var out connector.Marked
	f := &finding{work: c.work(), subject: m.Subject, mine: map[int64]*account{}, maybe: map[int64]string{}, notes: map[string]bool{}}
	if err := f.searched(ctx); err != nil {
		return out, err
	}
	for _, id := range sorted(f.mine) {
		// The list of tags is replaced as a whole: it is read right before.
		u, err := f.user(ctx, id)
		if err != nil {
			return out, err
		}
		if u == nil || !u.Active {
			continue
		}
		out.Records++
		tags, own := u.tagged(m)
		for _, flag := range own {
			if !slices.Contains(out.Own, flag) {
				out.Own = append(out.Own, flag)
			}
		}
		if slices.Equal(tags, u.Tags) {
			continue
		}
		if _, err := f.do(ctx, kit.Call{Method: http.MethodPut, Route: kit.To("/users/{user_id}", number(id)), Body: map[string]any{"user": map[string]any{"tags": tags}}}); err != nil {
			return out, err
		}
		out.Changed++
	}
	return out, nil
}

// tagged are the tags that a user must have, and those whose no is its own.
func (u user) tagged(m connector.Marking) (tags, own []string) {
	tags = append([]string{}, u.Tags...)
	for _, flag := range sorted(m.Yes) {
		no, yes := slices.Contains(u.Tags, flag), m.Yes[flag]
		switch {
		case no && yes && m.OwnNo(flag):
			own = append(own, flag)
		case no && yes:
			tags = slices.DeleteFunc(tags, func(t string) bool { return t == flag })
		case !no && !yes:
			tags = append(tags, flag)
		}
	}
	return tags, own
}

// The cursor of Marks is Zendesk's own, or the instant from which the first read
// begins.
const (
	fromInstant = "from:"
	recent      = 2 * time.Minute // Zendesk tells nothing of the last minute
)

// Marks implements connector.Marker, by the incremental export of users, which
// needs the rights of an administrator.
func (c *Connector) Marks(ctx context.Context, flags []string, cursor string) (list []connector.Flagged, next string, more bool, err error) {
	if cursor == "" {
		return nil, fromInstant + strconv.FormatInt(c.now().Add(-recent).Unix(), 10), false, nil
	}
	route := kit.To("/incremental/users/cursor").With("per_page", number(pageSize))
	if instant, first := strings.CutPrefix(cursor, fromInstant); first {
		route = route.With("start_time", instant)
	} else {
		route = route.With("cursor", cursor)
	}
	a, err := c.work().do(ctx, kit.Call{Method: http.MethodGet, Route: route})
	if err != nil {
		return nil, "", false, err
	}
	var page struct {
		Users []user `json:"users"`
		After string `json:"after_cursor"`
		End   *bool  `json:"end_of_stream"`
	}
	if err := a.JSON(&page); err != nil {
		return nil, "", false, err
	}
	if page.End == nil || !*page.End && (page.After == "" || page.After == cursor) {
		return nil, "", false, errs.New(errs.Unavailable, "%s GET %s: the export goes on, but not where", c.inventory.System, route)
	}
	if page.After == "" { // nothing has changed yet
		page.After = cursor
	}
	for _, u := range page.Users {
		email, ok := identity.NormalizeEmail(u.Email)
		if !ok || !u.Active || !u.Verified || u.staff() {
			continue
		}
		one := connector.Flagged{Email: email, Yes: map[string]bool{}}
		for _, flag := range flags {
			one.Yes[flag] = !slices.Contains(u.Tags, flag)
		}
		list = append(list, one)
	}
	return list, page.After, !*page.End, nil
}

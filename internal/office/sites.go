package office

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
)

// SiteSpec is a site to make.
type SiteSpec struct {
	ID       string // "": one is made up
	Name     string
	Shards   int // of the listing index, fixed for good
	Settings site.Settings
	Register []site.Purpose
}

const siteLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func (s SiteSpec) check() error {
	switch {
	case len(s.ID) > 64 || strings.Trim(s.ID, siteLetters) != "":
		return errs.New(errs.Invalid, "a site id has up to 64 letters, digits, '-' and '_'")
	case len(s.Name) > maxLabel:
		return errs.New(errs.Invalid, "the name of a site has at most %d bytes", maxLabel)
	case s.Shards < 1 || s.Shards > site.MaxShards:
		return errs.New(errs.Invalid, "shards must lie between 1 and %d", site.MaxShards)
	}
	if err := checkSettings(s.Settings); err != nil {
		return err
	}
	return site.ValidateRegister(s.Register)
}

func checkSettings(s site.Settings) error {
	switch {
	case s.BackdateDays < 0 || s.BackdateDays > site.MaxBackdateDays:
		return errs.New(errs.Invalid, "backdate_days must lie between 0 (default) and %d", site.MaxBackdateDays)
	case s.OptInDays < 0 || s.OptInDays > site.MaxOptInDays:
		return errs.New(errs.Invalid, "double_opt_in_days must lie between 0 (default) and %d", site.MaxOptInDays)
	case s.PublicGrants != "" && s.PublicGrants != site.Guarded && s.PublicGrants != site.Latest:
		return errs.New(errs.Invalid, "public_grants must be %s or %s", site.Guarded, site.Latest)
	}
	return nil
}

// MakeSite makes a site; one with its id is a Conflict. An administrator of
// another site gets the first admin key of the new one with it, in the same act:
// text is that key, which is stored nowhere. Whoever has AWS rights makes keys of
// any site, and gets none.
func (d *Desk) MakeSite(ctx context.Context, by Actor, from string, spec SiteSpec, once string) (made *site.Site, text string, err error) {
	c := Change{}
	if c.Once, err = d.once(ctx, from, once, spec); err != nil {
		return nil, "", err
	}
	if spec.ID == "" {
		spec.ID = "site-" + strings.ToLower(rand.Text()[:10])
	}
	if err := spec.check(); err != nil {
		return nil, "", err
	}
	c.Site = &site.Site{ID: spec.ID, Name: spec.Name, Shards: spec.Shards, Settings: spec.Settings, Register: spec.Register}
	c.Entry = d.entry(by, from, MakeSite, map[string]string{"made": spec.ID, "shards": strconv.Itoa(spec.Shards)})
	if by.Key != "" {
		text = keys.New()
		key := KeySpec{Class: keys.Role, Person: by.Who, Rank: keys.Admin}.key(spec.ID, text, c.Entry.At)
		c.Key, c.Entry.Detail["key"] = &key, key.Hash
	}
	if c.Once != nil {
		c.Once.Made = spec.ID
	}
	if err := d.do(ctx, by, c, "a site with this id exists already"); err != nil {
		return nil, "", err
	}
	return c.Site, text, nil
}

// SetSettings replaces the settings of a site; NotFound.
func (d *Desk) SetSettings(ctx context.Context, by Actor, id string, settings site.Settings) error {
	if err := checkSettings(settings); err != nil {
		return err
	}
	if _, err := d.Store.Site(ctx, id); err != nil {
		return err
	}
	detail := map[string]string{
		"public_grants": settings.PublicGrants, "backdate_days": strconv.Itoa(settings.BackdateDays), "double_opt_in_days": strconv.Itoa(settings.OptInDays),
	}
	return d.do(ctx, by, Change{Entry: d.entry(by, id, SetSettings, detail), Settings: &settings}, "the site is not there any more")
}

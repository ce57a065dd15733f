// Command site makes sites and keys, in the running local stack or in a
// deployed account. See site help.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/site/admin"
	"github.com/avow-consent/avow/scripts/stackenv"
)

const help = `usage: go run ./scripts/site [-outputs FILE | -local FILE] COMMAND [flags]

Commands:
  create            make a site with a public and a private key    -name NAME [-id ID] [-shards N]
  show              show a site and its keys                       -site ID
  set               replace the settings of a site                 -site ID [-public-grants guarded|latest] [-backdate-days N]
  key               make a key and print it once                   -site ID -class public|private [-label TEXT] [-origins URL,URL]
  role-key          make a key of a person who works on requests   -site ID -person NAME -role viewer|operator|officer|admin
  revoke            end a key                                      -key TEXT-OR-HASH
  token-key         make a secret that signs subject tokens        -site ID
  revoke-token-key  end one: its tokens no longer hold             -site ID -key-id ID
  token             sign a subject token, for a trial              -site ID -key-id ID -secret TEXT -subject ID [-valid 1h]

` + stackenv.Help + `A key's text and a secret are printed once and stored nowhere: keep them.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("site", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(out, help) }
	flags.SetOutput(out)
	outputs := flags.String("outputs", "", "")
	local := flags.String("local", stackenv.Local, "")
	if err := flags.Parse(args); err != nil {
		return nil // the flag package has said it
	}
	if flags.NArg() == 0 || flags.Arg(0) == "help" {
		fmt.Fprint(out, help)
		return nil
	}
	a, err := open(ctx, *outputs, *local)
	if err != nil {
		return err
	}
	t := tool{a, out}
	return t.command(ctx, flags.Arg(0), flags.Args()[1:])
}

// open finds the tables of the stack.
func open(ctx context.Context, outputs, local string) (*admin.Admin, error) {
	cfg, getenv, err := stackenv.Open(ctx, outputs, local)
	if err != nil {
		return nil, err
	}
	return admin.New(cfg, getenv, time.Now)
}

// tool runs commands and prints what they give.
type tool struct {
	*admin.Admin
	out io.Writer
}

func (t tool) printf(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }

func (t tool) command(ctx context.Context, name string, args []string) error {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(t.out)
	id := f.String("id", "", "site id to use instead of a made one")
	siteID := f.String("site", "", "site id")
	title := f.String("name", "", "name of the site")
	shards := f.Int("shards", site.DefaultShards, "shards of the listing index; fixed for good")
	grants := f.String("public-grants", site.Guarded, "guarded or latest")
	backdate := f.Int("backdate-days", site.DefaultBackdateDays, "days that a public post may lie back")
	class := f.String("class", "", "public or private")
	label := f.String("label", "", "what the key is for")
	origins := f.String("origins", "", "origins that may use the key, separated by commas")
	person := f.String("person", "", "whose role key it is")
	role := f.String("role", "", "viewer, operator, officer or admin")
	key := f.String("key", "", "a key or its hash")
	keyID := f.String("key-id", "", "id of a token key")
	secret := f.String("secret", "", "secret of a token key")
	subject := f.String("subject", "", "subject id")
	valid := f.Duration("valid", time.Hour, "validity of a token")
	if err := f.Parse(args); err != nil {
		return nil // the flag package has said it
	}
	settings := site.Settings{PublicGrants: *grants, BackdateDays: *backdate}
	switch name {
	case "create":
		return t.create(ctx, *id, *title, *shards, settings)
	case "show":
		return t.show(ctx, *siteID)
	case "set":
		return t.Set(ctx, *siteID, settings)
	case "key":
		return t.key(ctx, *siteID, keys.Class(*class), *label, split(*origins))
	case "role-key":
		text, err := t.CreateRoleKey(ctx, *siteID, *person, keys.Rank(*role))
		if err == nil {
			t.printf("%-8s key %s\n", *role, text)
		}
		return err
	case "revoke":
		return t.RevokeKey(ctx, *key)
	case "token-key":
		id, value, err := t.CreateTokenKey(ctx, *siteID)
		if err == nil {
			t.printf("key id  %s\nsecret  %s\n", id, value)
		}
		return err
	case "revoke-token-key":
		return t.RevokeTokenKey(ctx, *siteID, *keyID)
	case "token":
		t.printf("%s\n", t.SubjectToken(*keyID, *secret, *siteID, *subject, *valid))
		return nil
	default:
		return fmt.Errorf("unknown command %q: see go run ./scripts/site help", name)
	}
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func (t tool) create(ctx context.Context, id, name string, shards int, settings site.Settings) error {
	s, err := t.CreateSite(ctx, id, name, shards, settings, nil)
	if err != nil {
		return err
	}
	t.printf("site         %s\n", s.ID)
	for _, class := range []keys.Class{keys.Public, keys.Private} {
		if err := t.key(ctx, s.ID, class, "first "+string(class)+" key", nil); err != nil {
			return err
		}
	}
	return nil
}

func (t tool) key(ctx context.Context, siteID string, class keys.Class, label string, origins []string) error {
	text, err := t.CreateKey(ctx, siteID, class, label, origins)
	if err == nil {
		t.printf("%-8s key %s\n", class, text)
	}
	return err
}

func (t tool) show(ctx context.Context, siteID string) error {
	s, err := t.Site(ctx, siteID)
	if err != nil {
		return err
	}
	list, err := t.Keys(ctx, siteID)
	if err != nil {
		return err
	}
	t.printf("site     %s\nname     %s\nshards   %d\nsettings %+v\nregister version %d, %d preferences\n",
		s.ID, s.Name, s.Shards, s.Settings, s.RegisterVersion, len(s.Register))
	for _, k := range s.TokenKeys {
		t.printf("token key %s revoked=%v\n", k.ID, k.Revoked)
	}
	for _, k := range list {
		t.printf("%-8s %s… created=%s revoked=%v ", k.Class, k.Hash[:12], k.Created.Format(time.RFC3339), k.Revoked)
		if k.Class == keys.Role {
			t.printf("role=%s person=%q\n", k.Rank, k.Person)
		} else {
			t.printf("origins=%v label=%q\n", k.Origins, k.Label)
		}
	}
	return nil
}

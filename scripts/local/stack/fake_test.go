package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/local/stack"
)

// runIn makes the test binary run a stack in this checkout, as scripts/local
// does, with the functions of testdata/template.yaml.
const runIn = "AVOW_TEST_RUN_IN"

func TestMain(m *testing.M) {
	root := os.Getenv(runIn)
	if root == "" {
		os.Exit(m.Run())
	}
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	o := options(emulator.Checkout{Root: root})
	o.Out, o.Signals = os.Stdout, signals
	if os.Getenv("AVOW_TEST_FEWER") != "" {
		delete(o.Components, "copy")
	}
	if err := stack.Run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func options(checkout emulator.Checkout) stack.Options {
	return stack.Options{
		Checkout:   checkout,
		Components: map[string]stack.Component{"write": write, "read": read, "copy": copier},
		Seed: func(_ context.Context, _ func(string) string, site *stack.Site) error {
			if site.ID == "" {
				*site = stack.Site{ID: fmt.Sprint(time.Now().UnixNano()), PublicKey: "public", PrivateKey: "private"}
			}
			return nil
		},
		Rebuild: func(context.Context, func(string) string) error { return nil },
		Publish: func(context.Context, stack.Info) error { return nil },
	}
}

// checkout is a checkout of its own: the small template, the real venv.
func checkout(t *testing.T) emulator.Checkout {
	t.Helper()
	real, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join(real.Root, "scripts/local/stack/testdata/template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := emulator.Checkout{Root: t.TempDir()}
	if err := os.Mkdir(c.Local(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Root, "template.yaml"), template, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(real.Local(), "venv"), filepath.Join(c.Local(), "venv")); err != nil {
		t.Fatal(err)
	}
	usePorts(t, c, freePort(t), freePort(t))
	return c
}

// usePorts is what a checkout remembers that has run on these ports.
func usePorts(t *testing.T, c emulator.Checkout, api, demo int) {
	t.Helper()
	ports := fmt.Sprintf(`{"api":%d,"demo":%d}`, api, demo)
	if err := os.WriteFile(filepath.Join(c.Local(), "ports.json"), []byte(ports), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freePort is one below those that the system gives away by itself: while a
// stack restarts, no other test takes it.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
}

func write(ctx context.Context, getenv func(string) string) (lambda.Handler, error) {
	db, err := client(ctx)
	return lambda.NewHandler(func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		return events.APIGatewayV2HTTPResponse{StatusCode: 200}, put(ctx, db, getenv("NOTES_TABLE"), e.PathParameters["id"])
	}), err
}

func read(ctx context.Context, getenv func(string) string) (lambda.Handler, error) {
	db, err := client(ctx)
	return lambda.NewHandler(func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		table := map[string]string{"notes": "NOTES_TABLE", "copies": "COPIES_TABLE"}[e.PathParameters["table"]]
		out, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(getenv(table)), Key: key(e.PathParameters["id"])})
		if err != nil || out.Item == nil {
			return events.APIGatewayV2HTTPResponse{StatusCode: 404}, err
		}
		return events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: getenv("RATE")}, nil
	}), err
}

func copier(ctx context.Context, getenv func(string) string) (lambda.Handler, error) {
	db, err := client(ctx)
	return lambda.NewHandler(func(ctx context.Context, batch json.RawMessage) (events.DynamoDBEventResponse, error) {
		var e events.DynamoDBEvent
		if err := json.Unmarshal(batch, &e); err != nil {
			return events.DynamoDBEventResponse{}, err
		}
		for _, r := range e.Records {
			if err := put(ctx, db, getenv("COPIES_TABLE"), r.Change.Keys["id"].String()); err != nil {
				return events.DynamoDBEventResponse{}, err
			}
		}
		return events.DynamoDBEventResponse{}, nil
	}), err
}

func client(ctx context.Context) (*dynamodb.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	return dynamodb.NewFromConfig(cfg), err
}

func key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}
}

func put(ctx context.Context, db *dynamodb.Client, table, id string) error {
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: key(id)})
	return err
}

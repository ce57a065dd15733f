package emulator_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/emulator"
)

// parentState makes the test binary play a parent that is killed: it starts an
// emulator with this state, prints its URL and process, and waits.
const parentState = "AVOW_TEST_PARENT_STATE"

func TestMain(m *testing.M) {
	if state := os.Getenv(parentState); state != "" {
		parent(state)
		return
	}
	os.Exit(m.Run())
}

func parent(state string) {
	venv, err := openVenv()
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := emulator.Start(context.Background(), emulator.Options{Venv: venv, State: state})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(server.URL(), server.PID())
	select {}
}

func openVenv() (emulator.Venv, error) {
	checkout, err := emulator.FindCheckout()
	if err != nil {
		return emulator.Venv{}, err
	}
	return emulator.OpenVenv(checkout.Local())
}

func start(t *testing.T, o emulator.Options) *emulator.Server {
	t.Helper()
	var err error
	if o.Venv, err = openVenv(); err != nil {
		t.Fatal(err)
	}
	server, err := emulator.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return server
}

func stop(t *testing.T, server *emulator.Server) {
	t.Helper()
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// shop is a stack of one resource of each kind.
func shop() *cfn.Stack {
	return &cfn.Stack{
		Tables: []cfn.Table{{
			Name:                 "shop",
			AttributeDefinitions: []cfn.Attribute{{AttributeName: "id", AttributeType: "S"}},
			KeySchema:            []cfn.Key{{AttributeName: "id", KeyType: "HASH"}},
		}},
		Buckets: []cfn.Bucket{{Name: "proofs", Versioned: true}},
		Queues:  []cfn.Queue{{Name: "failures", Attributes: map[string]string{"VisibilityTimeout": "7"}}},
		Secrets: []cfn.Secret{{Name: "pepper", Generate: cfn.Generate{PasswordLength: 64, ExcludePunctuation: true}}},
	}
}

func provision(t *testing.T, server *emulator.Server, stack *cfn.Stack) aws.Config {
	t.Helper()
	cfg := emulator.Config(server.URL())
	if err := emulator.Provision(t.Context(), cfg, stack); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func put(t *testing.T, cfg aws.Config, id string) {
	t.Helper()
	_, err := dynamodb.NewFromConfig(cfg).PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: aws.String("shop"),
		Item:      map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}, "by": &types.AttributeValueMemberS{Value: "me"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, cfg aws.Config, id string) bool {
	t.Helper()
	out, err := dynamodb.NewFromConfig(cfg).GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String("shop"), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Item) > 0
}

func pepper(t *testing.T, cfg aws.Config) string {
	t.Helper()
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("pepper")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.SecretString
}

func TestStop_keepsState(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	server := start(t, emulator.Options{State: state})
	cfg := provision(t, server, shop())
	put(t, cfg, "first")
	secret := pepper(t, cfg)
	if len(secret) != 64 {
		t.Errorf("the secret has %d characters, want 64", len(secret))
	}
	if _, err := s3.NewFromConfig(cfg).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("proofs"), Key: aws.String("form/1"), Body: strings.NewReader("<form>")}); err != nil {
		t.Fatal(err)
	}
	stop(t, server)

	cfg = provision(t, start(t, emulator.Options{State: state}), shop())
	if !has(t, cfg, "first") {
		t.Error("the item is gone")
	}
	if pepper(t, cfg) != secret {
		t.Error("the secret is another one")
	}
	if _, err := s3.NewFromConfig(cfg).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("proofs"), Key: aws.String("form/1")}); err != nil {
		t.Error(err)
	}
	if _, err := sqs.NewFromConfig(cfg).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("failures")}); err != nil {
		t.Error(err)
	}
}

// However the parent dies, the emulator saves and ends, and a start at that
// moment waits for it.
func TestStart_parentKilled(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), parentState+"="+state)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	var url string
	var pid int
	if _, err := fmt.Sscan(line, &url, &pid); err != nil {
		t.Fatalf("the parent said %q", line)
	}
	cfg := emulator.Config(url)
	if err := emulator.Provision(t.Context(), cfg, shop()); err != nil {
		t.Fatal(err)
	}
	put(t, cfg, "last words")

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	cfg = provision(t, start(t, emulator.Options{State: state}), shop())
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) && !zombie(pid) {
		t.Errorf("the emulator of the killed parent lives on: %v", err)
	}
	if !has(t, cfg, "last words") {
		t.Error("the item is gone")
	}
}

// zombie: where the tests run as the first process of a container, nobody
// collects the orphan.
func zombie(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(status), ") Z ")
}

func TestStart_stateInUse(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	start(t, emulator.Options{State: state})
	venv, err := openVenv()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var said strings.Builder
	_, err = emulator.Start(ctx, emulator.Options{Venv: venv, State: state, Out: &said})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(said.String(), "Waiting for the emulator of an earlier run") {
		t.Errorf("Start: %v, after saying %q", err, said.String())
	}
}

func TestStart_portTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	if server := start(t, emulator.Options{Port: taken}); server.Port() == taken {
		t.Errorf("the emulator has port %d, which is taken", taken)
	}
}

func TestStop_deadline(t *testing.T) {
	t.Parallel()
	server := start(t, emulator.Options{State: t.TempDir()})
	if err := syscall.Kill(server.PID(), syscall.SIGSTOP); err != nil { // it will not react
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := server.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop: %v, want the deadline", err)
	}
	<-server.Done()
}

func TestProvision_changedTemplate(t *testing.T) {
	t.Parallel()
	server := start(t, emulator.Options{})
	stack := shop()
	cfg := provision(t, server, stack)
	put(t, cfg, "1")

	grown := &stack.Tables[0]
	grown.AttributeDefinitions = append(grown.AttributeDefinitions, cfn.Attribute{AttributeName: "by", AttributeType: "S"})
	index := cfn.Index{IndexName: "ByMaker", KeySchema: []cfn.Key{{AttributeName: "by", KeyType: "HASH"}}}
	index.Projection.ProjectionType = "ALL"
	grown.GlobalSecondaryIndexes = []cfn.Index{index}
	grown.StreamSpecification.StreamViewType = "NEW_AND_OLD_IMAGES"
	grown.TimeToLiveSpecification = cfn.TimeToLive{AttributeName: "expires", Enabled: true}
	stack.Queues[0].Attributes["VisibilityTimeout"] = "9"
	for range 2 { // the second finds nothing to do
		provision(t, server, stack)
	}
	out, err := dynamodb.NewFromConfig(cfg).Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String("shop"), IndexName: aws.String("ByMaker"), KeyConditionExpression: aws.String("#by = :me"),
		ExpressionAttributeNames:  map[string]string{"#by": "by"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":me": &types.AttributeValueMemberS{Value: "me"}},
	})
	if err != nil || out.Count != 1 {
		t.Errorf("the new index: %v, %v; want the old item", out, err)
	}

	grown.GlobalSecondaryIndexes = nil
	provision(t, server, stack)
	described, err := dynamodb.NewFromConfig(cfg).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("shop")})
	if err != nil || len(described.Table.GlobalSecondaryIndexes) != 0 || described.Table.StreamSpecification == nil {
		t.Errorf("without the index: %+v, %v", described.Table, err)
	}

	grown.KeySchema[0].AttributeName = "by"
	if err := emulator.Provision(t.Context(), cfg, stack); err == nil || !strings.Contains(err.Error(), "make reset") {
		t.Errorf("another key: %v, want advice", err)
	}
}

func TestOpenVenv_missing(t *testing.T) {
	t.Parallel()
	local := t.TempDir()
	if _, err := emulator.OpenVenv(local); !errors.Is(err, emulator.ErrNoVenv) {
		t.Errorf("OpenVenv: %v", err)
	}
	// An interrupted installation has everything but its marker.
	if err := os.MkdirAll(filepath.Join(local, "venv", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(local, "venv", "bin", "python"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := emulator.OpenVenv(local); !errors.Is(err, emulator.ErrNoVenv) {
		t.Errorf("OpenVenv of an interrupted installation: %v", err)
	}
}

func TestEnsureVenv_unfitPython(t *testing.T) {
	for script, want := range map[string]string{
		"":                                    "needs Python 3.10 or newer, and there is no python3 in the PATH",
		"echo 3.8.18":                         "needs Python 3.10 or newer, and python3 here is 3.8.18",
		"exit 127":                            "there is no python3 in the PATH", // a shim of pyenv without a Python
		noEnsurepip:                           "install its venv module (Debian and Ubuntu: apt install python3-venv)",
		"test $1 = -c || exit 1; echo 3.12.1": "making .local/venv: exit status 1",
	} {
		path := t.TempDir()
		if script != "" {
			if err := os.WriteFile(filepath.Join(path, "python3"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", path)
		var said strings.Builder
		if _, err := emulator.EnsureVenv(t.Context(), t.TempDir(), &said); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with python3 %q: %v, want %q", script, err, want)
		}
	}
}

// noEnsurepip is the Python of a Debian without python3-venv.
const noEnsurepip = `test $1 = -c && echo 3.12.1 && exit
echo "The virtual environment was not created successfully because ensurepip is not available."
exit 1`

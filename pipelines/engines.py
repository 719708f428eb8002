"""Which engine runs a job: Beam's options, checked before anything is written."""

import contextlib
import difflib
import io
import os
from collections.abc import Collection, Sequence

from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)

from kdcn_tf.errors import ConfigError, UnavailableError

# Measured on 2 cores: worker processes cost 2 s to start and code every element between stages, which
# pays only for inputs that take minutes; a single process also shares one keyword dictionary.
_MULTI_PROCESS_BYTES = 64 << 20
_CONNECT_SECONDS = 30  # to reach a job service; Beam alone waits 300
_LOCAL = {"fnapirunner", "directrunner", "switchingdirectrunner", "bundlebaseddirectrunner"}
_DATAFLOW, _FLINK, _PORTABLE = "dataflowrunner", "flinkrunner", "portablerunner"

# What Flink's job server adds to Beam's Python options: org.apache.beam.runners.flink.FlinkPipelineOptions, spelt as
# the job server describes them to Python. Without them a typing error would pass as an option of Flink.
FLINK_OPTIONS = frozenset(
    """
    allow_non_restored_state attached_mode auto_balance_write_files_sharding_enabled auto_watermark_interval
    checkpoint_timeout_millis checkpointing_interval checkpointing_mode disable_metrics enable_stable_input_drain
    execution_mode_for_batch execution_retry_delay externalized_checkpoints_enabled fail_on_checkpointing_errors
    faster_copy file_input_split_max_size_m_b files_to_stage finish_bundle_before_checkpointing flink_conf_dir
    flink_master force_slot_sharing_group force_unaligned_checkpoint_enabled job_check_interval_in_secs
    latency_tracking_interval max_bundle_size max_bundle_time_mills max_parallelism min_pause_between_checkpoints
    num_concurrent_checkpoints number_of_execution_retries object_reuse operator_chaining parallelism
    re_iterable_group_by_key_result report_checkpoint_duration retain_externalized_checkpoints_on_cancellation
    savepoint_path shutdown_sources_after_idle_ms state_backend state_backend_factory state_backend_storage_path
    unaligned_checkpoint_enabled use_data_stream_for_batch
    """.split()
)


_LOCAL_RUNNERS = frozenset({"fnapirunner", "directrunner", "bundlebaseddirectrunner"})


def beam_options(arguments: Sequence[str], input_bytes: int) -> PipelineOptions:
    """The user's Beam options, with a local runner that fits the input where none is named.

    Args:
        arguments: what isn't a flag of the command.
        input_bytes: size of the input.

    Raises:
        ConfigError: an argument that neither kdcn nor Beam knows, a value that Beam doesn't take, or an option that
            the runner lacks.
        UnavailableError: nobody answers at --job_endpoint.
    """
    arguments = list(arguments)
    parsed = _parsed(arguments)
    workers = parsed.view_as(DirectOptions).direct_num_workers
    if workers < 0:
        raise ConfigError(f"--direct_num_workers: must be at least 0 (as many as there are cores), got {workers}")
    runner = _runner(parsed)
    if not runner:
        _refuse_unknown(arguments)
        return _parsed([*arguments, *_local_arguments(arguments, input_bytes)])
    if runner in _LOCAL:
        _refuse_unknown(arguments)
    elif runner == _FLINK:
        _refuse_unknown(arguments, FLINK_OPTIONS)
    elif runner == _DATAFLOW:
        _refuse_unknown(arguments)
        _check_dataflow(parsed)
    elif runner == _PORTABLE:
        _refuse_unknown(arguments, _options_of_service(parsed.view_as(PortableOptions)))
    return parsed


def is_on_this_machine(beam_config: PipelineOptions) -> bool:
    """Whether all steps run in this process or its children."""
    return _runner(beam_config) in _LOCAL_RUNNERS


def is_handed_over(beam_config: PipelineOptions) -> bool:
    """Whether the job runs, if it does, without this process: a template, a dry run, or a job nobody waits for."""
    return bool(
        beam_config.view_as(GoogleCloudOptions).template_location
        or beam_config.view_as(StandardOptions).no_wait_until_finish
        or beam_config.view_as(TestOptions).dry_run
    )


def _runner(parsed: PipelineOptions) -> str:
    return (parsed.view_as(StandardOptions).runner or "").rsplit(".", 1)[-1].lower()


def _local_arguments(arguments: Sequence[str], input_bytes: int) -> list[str]:
    given = {argument.split("=")[0] for argument in arguments}
    added = ["--runner=FnApiRunner"]  # DirectRunner would first try to download another runner
    if "--direct_running_mode" not in given and input_bytes > _MULTI_PROCESS_BYTES:
        added.append("--direct_running_mode=multi_processing")
        if "--direct_num_workers" not in given:
            added.append(f"--direct_num_workers={os.cpu_count()}")
    return added


def _parsed(arguments: Sequence[str]) -> PipelineOptions:
    """Beam reads its options late, by argparse, which prints its usage and exits."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = PipelineOptions(arguments)
            parsed.get_all_options()
    except SystemExit:
        raise ConfigError(said.getvalue().strip().split("error: ")[-1]) from None
    return parsed


def _refuse_unknown(arguments: Sequence[str], of_runner: Collection[str] = ()) -> None:
    """Beam drops what it doesn't know, typing errors too."""
    known = {*PipelineOptions([]).get_all_options(), *of_runner}
    before = ""
    for argument in arguments:
        name = argument.split("=")[0]
        if name.startswith("-") and not {name.lstrip("-"), name.lstrip("-").removeprefix("no_")} & known:
            close = difflib.get_close_matches(name.lstrip("-"), sorted(known), n=1, cutoff=0.8)
            hint = f"; did you mean --{close[0]}?" if close else ""
            raise ConfigError(f"{name}: neither an option of this command nor of Beam{hint}")
        if not name.startswith("-") and (not before.startswith("-") or "=" in before):
            raise ConfigError(f"unexpected argument {argument!r}")
        before = argument


def _check_dataflow(parsed: PipelineOptions) -> None:
    """Dataflow would find these missing only when its workers run, minutes later."""
    setup = parsed.view_as(SetupOptions)
    packaged = setup.setup_file or setup.extra_packages or parsed.view_as(WorkerOptions).sdk_container_image
    if not packaged:
        raise ConfigError(
            "--setup_file: is required with --runner=DataflowRunner (./setup.py), or an image with kdcn-tf in it by "
            "--sdk_container_image: Dataflow's workers don't have this package"
        )
    if setup.setup_file and not os.path.isfile(setup.setup_file):
        raise ConfigError(f"--setup_file={setup.setup_file}: no such file")


def _options_of_service(portable: PortableOptions) -> set[str]:
    """Names of the options that the job service has besides Beam's.

    Raises:
        ConfigError: no --job_endpoint.
        UnavailableError: nobody answers there.
    """
    endpoint = portable.job_endpoint
    if not endpoint:
        raise ConfigError("--job_endpoint: is required with --runner=PortableRunner, as host:port")
    if endpoint == "embed":  # a job service inside this process
        return set()
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    patience = min(portable.job_server_timeout, _CONNECT_SECONDS)
    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=patience)
            service = beam_job_api_pb2_grpc.JobServiceStub(channel)
            request = beam_job_api_pb2.DescribePipelineOptionsRequest()
            described = service.DescribePipelineOptions(request, timeout=patience)
        except (grpc.FutureTimeoutError, grpc.RpcError):
            message = f"--job_endpoint={endpoint}: no Beam job service answers there within {patience} s"
            raise UnavailableError(message) from None
    return {option.name for option in described.options}

/* The actions of EC2 that are served. */
#include "ec2.h"
#include "aws.h"

#define FILTERS "Filter.N.Name Filter.N.Value.N "
#define PAGES "MaxResults# NextToken "

const struct action ec2_actions[] = {
    { "RunInstances", ec2_run_instances,
      "ImageId InstanceType MinCount# MaxCount# ClientToken KeyName SubnetId SecurityGroupId.N UserData EbsOptimized? "
      "DisableApiTermination? InstanceInitiatedShutdownBehavior Monitoring.Enabled? "
      "MetadataOptions.HttpEndpoint MetadataOptions.HttpTokens MetadataOptions.HttpPutResponseHopLimit# "
      "MetadataOptions.HttpProtocolIpv6 MetadataOptions.InstanceMetadataTags "
      "IamInstanceProfile.Name IamInstanceProfile.Arn Placement.AvailabilityZone Placement.Tenancy "
      "Placement.GroupName Placement.HostId "
      "CreditSpecification.CpuCredits CpuOptions.CoreCount# CpuOptions.ThreadsPerCore# "
      "PrivateDnsNameOptions.HostnameType MaintenanceOptions.AutoRecovery "
      "InstanceMarketOptions.MarketType InstanceMarketOptions.SpotOptions.SpotInstanceType "
      "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior InstanceMarketOptions.SpotOptions.MaxPrice "
      "TagSpecification.N.ResourceType TagSpecification.N.Tag.N.Key TagSpecification.N.Tag.N.Value "
      "BlockDeviceMapping.N.DeviceName BlockDeviceMapping.N.VirtualName BlockDeviceMapping.N.NoDevice "
      "BlockDeviceMapping.N.Ebs.VolumeSize# BlockDeviceMapping.N.Ebs.VolumeType BlockDeviceMapping.N.Ebs.Iops# "
      "BlockDeviceMapping.N.Ebs.Throughput# BlockDeviceMapping.N.Ebs.Encrypted? BlockDeviceMapping.N.Ebs.KmsKeyId "
      "BlockDeviceMapping.N.Ebs.SnapshotId BlockDeviceMapping.N.Ebs.DeleteOnTermination? "
      "BlockDeviceMapping.N.Ebs.VolumeInitializationRate# "
      "NetworkInterface.N.DeviceIndex# NetworkInterface.N.SubnetId NetworkInterface.N.SecurityGroupId.N "
      "NetworkInterface.N.AssociatePublicIpAddress? NetworkInterface.N.DeleteOnTermination? "
      "NetworkInterface.N.Description" },
    { "DescribeInstances", ec2_describe_instances, "InstanceId.N " FILTERS PAGES },
    { "TerminateInstances", ec2_change_states, "InstanceId.N Force? SkipOsShutdown?" },
    { "StopInstances", ec2_change_states, "InstanceId.N Force? Hibernate? SkipOsShutdown?" },
    { "StartInstances", ec2_change_states, "InstanceId.N" },
    { "GetConsoleOutput", ec2_get_console_output, "InstanceId Latest?" },
    { "CreateTags", ec2_change_tags, "ResourceId.N Tag.N.Key Tag.N.Value" },
    { "DeleteTags", ec2_change_tags, "ResourceId.N Tag.N.Key Tag.N.Value" },
    { "DescribeTags", ec2_describe_tags, FILTERS PAGES },
    { "DescribeVolumes", ec2_describe_volumes, "VolumeId.N " FILTERS PAGES },
    { "DeleteVolume", ec2_delete_volume, "VolumeId" },
    { "DescribeSpotInstanceRequests", ec2_describe_spot_requests, "SpotInstanceRequestId.N " FILTERS PAGES },
    { "CancelSpotInstanceRequests", ec2_cancel_spot_requests, "SpotInstanceRequestId.N" },
    { "CreateImage", ec2_create_image,
      "InstanceId Name Description NoReboot? TagSpecification.N.ResourceType TagSpecification.N.Tag.N.Key "
      "TagSpecification.N.Tag.N.Value" },
    { "CopyImage", ec2_copy_image,
      "SourceRegion SourceImageId Name Description ClientToken Encrypted? KmsKeyId TagSpecification.N.ResourceType "
      "TagSpecification.N.Tag.N.Key TagSpecification.N.Tag.N.Value" },
    { "ModifyImageAttribute", ec2_modify_image_attribute, "ImageId LaunchPermission.Add.N.UserId" },
    { "EnableImageDeprecation", ec2_enable_image_deprecation, "ImageId DeprecateAt" },
    { "DeregisterImage", ec2_deregister_image, "ImageId DeleteAssociatedSnapshots?" },
    { "DescribeSnapshots", ec2_describe_snapshots, "SnapshotId.N Owner.N " FILTERS PAGES },
    { "DeleteSnapshot", ec2_delete_snapshot, "SnapshotId" },
    { "DescribeImages", ec2_describe_images, "ImageId.N Owner.N IncludeDeprecated? IncludeDisabled? " FILTERS PAGES },
    { "DescribeSubnets", ec2_describe_subnets, "SubnetId.N " FILTERS PAGES },
    { "DescribeSecurityGroups", ec2_describe_groups, "GroupId.N " FILTERS PAGES },
    { "CreateSecurityGroup", ec2_create_group, "GroupName GroupDescription VpcId" },
    { "DescribeRouteTables", ec2_describe_route_tables, "RouteTableId.N " FILTERS PAGES },
    { "DescribeInstanceTypeOfferings", ec2_describe_offerings, "LocationType " FILTERS PAGES },
    { "DescribeRegions", ec2_describe_regions, "RegionName.N AllRegions? " FILTERS },
    { "GetEbsEncryptionByDefault", ec2_get_encryption, "" },
    { "GetEbsDefaultKmsKeyId", ec2_get_default_key, "" },
    { "DescribeInstanceTypes", ec2_describe_types, "InstanceType.N " FILTERS PAGES },
    { 0 },
};
